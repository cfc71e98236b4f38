// The certificates that servers show, and until when they are good.

import { part } from "../../base/api.ts";
import { ago, moment, t } from "../../base/i18n.ts";
import { useLive } from "../../base/live.ts";
import type { Status } from "../../base/types.ts";
import { Link } from "../../widgets/link.tsx";
import { Badge, Loaded, Page, Section, type Tone } from "../../widgets/parts.tsx";
import { Table } from "../../widgets/table.tsx";

/** A certificate that ends sooner should have been renewed long ago: `sterna status` says the same. */
const SOON_MS = 14 * 86_400_000;

export function CertificatesPage() {
  const status = useLive<Status>("/status");
  return (
    <Page title={t("nav.certificates")} lead={t("certificates.lead")}>
      <Section title={t("nav.servers")}>
        <Loaded read={status}>
          {({ servers }) => (
            <Table
              caption={t("nav.certificates")}
              rows={servers}
              keyOf={(server) => server.id}
              empty={t("servers.none")}
              columns={[
                { title: t("server"), cell: (server) => <Link to={`/servers/${part(server.name)}`}>{server.name}</Link> },
                { title: t("certificates.nodes"), cell: (server) => <Until at={server.certificate_not_after} /> },
                { title: t("certificates.clients"), cell: (server) => <Until at={server.client_certificate_not_after} /> },
                { title: t("certificates.dane"), cell: (server) => server.dane_off ?? "–" },
              ]}
            />
          )}
        </Loaded>
      </Section>
      <Section title={t("certificates.own")}>
        <p>{t("certificates.own-lead")}</p>
        <pre>{'[tls]\ncertificate = "/etc/ssl/mail1.pem"\nkey = "/etc/ssl/mail1.key"'}</pre>
      </Section>
    </Page>
  );
}

function Until({ at }: { at: string | null }) {
  if (at === null) return <>–</>;
  const left = new Date(at).getTime() - Date.now();
  const tone: Tone = left < 0 ? "bad" : left < SOON_MS ? "attention" : "good";
  return (
    <>
      <Badge tone={tone}>{ago(at)}</Badge>
      <p class="soft">{moment(at)}</p>
    </>
  );
}

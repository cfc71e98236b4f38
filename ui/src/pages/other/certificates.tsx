// The certificates that clients see: issued by themselves or by hand, and until when they are good.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { ago, known, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Acme, Certificate, Page as Items, Status } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Facts, Loaded, Page, Section, type Tone } from "../../widgets/parts.tsx";
import { Table } from "../../widgets/table.tsx";
import { attempt, done } from "../../widgets/toast.tsx";

/** A certificate that ends sooner should have been renewed long ago: `sterna status` says the same. */
const SOON_MS = 14 * 86_400_000;

/** How often it is looked how an order goes on, in milliseconds. */
const LOOK_MS = 5000;

const STATES: Record<Acme["state"], Tone> = { off: "plain", terms: "attention", failing: "bad", waiting: "info", good: "good" };

export function CertificatesPage() {
  const status = useLive<Status>("/status");
  return (
    <Page title={t("nav.certificates")} lead={t("certificates.lead")}>
      <Issued />
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

/** What an authority issues by itself. */
function Issued() {
  const acme = useLive<Acme>("/acme", LOOK_MS);
  const certificates = useLive<Items<Certificate>>("/certificates", LOOK_MS);
  const [enables, setEnables] = useState(false);
  const [disables, setDisables] = useState(false);
  const isOn = acme.data !== null && acme.data.state !== "off";
  const renew = () =>
    attempt(async () => {
      await ask("POST", "/acme/orders", { body: {} });
      changed("/acme", "/certificates");
      done(t("certificates.asked"));
    });
  return (
    <Section
      title={t("certificates.issued")}
      lead={t("certificates.issued-lead")}
      actions={
        <>
          {isOn && <Button onPress={() => void renew()}>{t("certificates.renew")}</Button>}
          {isOn && <Button onPress={() => setDisables(true)}>{t("certificates.disable")}</Button>}
          <Button onPress={() => setEnables(true)}>{isOn ? t("edit") : t("certificates.enable")}</Button>
        </>
      }
    >
      <Loaded read={acme}>{(state) => <State acme={state} />}</Loaded>
      <Loaded read={certificates}>
        {({ items }) => (
          <>
            {items.map((one) => (
              <Facts
                key={one.name}
                items={[
                  [t("certificates.for"), one.names.join(", ")],
                  [t("certificates.issuer"), one.issuer],
                  [t("certificates.until"), <Until at={one.not_after} />],
                ]}
              />
            ))}
          </>
        )}
      </Loaded>
      {enables && <Enable acme={acme.data} onClose={() => setEnables(false)} />}
      {disables && (
        <Confirm
          title={t("certificates.disable")}
          action={t("certificates.disable")}
          onClose={() => setDisables(false)}
          onConfirm={async () => {
            await ask("DELETE", "/acme");
            changed("/acme", "/settings");
            done(t("certificates.disabled"));
          }}
        >
          <p>{t("certificates.disable-lead")}</p>
        </Confirm>
      )}
    </Section>
  );
}

function State({ acme }: { acme: Acme }) {
  return (
    <>
      <p>
        <Badge tone={STATES[acme.state]}>{known("acme-state", acme.state)}</Badge> {acme.directory}
      </p>
      {acme.failure && (
        <p role="status">
          {acme.failure.what} <span class="soft">{acme.failure.remedy}</span>
          {acme.not_before && <span class="soft"> {t("certificates.next", { when: moment(acme.not_before) })}</span>}
        </p>
      )}
      {acme.renew_at && acme.state === "good" && <p class="soft">{t("certificates.renews", { when: moment(acme.renew_at) })}</p>}
      {acme.left_out.length > 0 && (
        <details>
          <summary>{t("certificates.left-out", { n: acme.left_out.length })}</summary>
          <ul>
            {acme.left_out.map((one) => (
              <li key={one.name}>{one.why}</li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function Enable({ acme, onClose }: { acme: Acme | null; onClose: () => void }) {
  return (
    <NewDialog
      title={t("certificates.enable")}
      action={t("certificates.enable")}
      initial={{
        directory: acme?.directory ?? "letsencrypt",
        contact: acme?.contact ?? "",
        names: acme?.names ?? [],
        terms_agreed: acme?.terms_agreed ?? false,
      }}
      onClose={onClose}
      onCreate={async (body) => {
        await ask("PUT", "/acme", { body: { terms_agreed: false, ...body } });
        changed("/acme", "/certificates", "/settings");
        done(t("certificates.asked"));
        onClose();
      }}
      fields={[
        { name: "directory", label: t("certificates.authority"), kind: "text", hint: t("certificates.authority-hint"), required: true },
        { name: "contact", label: t("certificates.contact"), kind: "text", hint: t("certificates.contact-hint") },
        { name: "names", label: t("certificates.also"), kind: "list", hint: t("certificates.also-hint") },
        { name: "terms_agreed", label: t("certificates.terms"), kind: "toggle" },
      ]}
    />
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

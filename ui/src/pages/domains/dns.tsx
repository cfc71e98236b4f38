// The records that DNS should have of a domain: copied cell by cell, or as a zone file.

import { known, t } from "../../base/i18n.ts";
import { useLive } from "../../base/live.ts";
import type { Dns, DnsRecord } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Badge, Copyable, Loaded, Section, type Tone } from "../../widgets/parts.tsx";
import { Table } from "../../widgets/table.tsx";
import { attempt, done } from "../../widgets/toast.tsx";

const TONES: Record<DnsRecord["need"], Tone> = { mail: "info", clients: "info", advised: "plain" };

/** How often DNS is looked at while the page is, in milliseconds. */
const LOOK_MS = 60_000;

export function DnsTable({ path }: { path: string }) {
  const dns = useLive<Dns>(`${path}/dns?look=true`, LOOK_MS);
  const zone = (dns.data?.items ?? []).map((record) => record.zone).join("\n");
  const copy = (): Promise<boolean> =>
    attempt(async () => {
      await navigator.clipboard.writeText(`${zone}\n`);
      done(t("copied"));
    });
  return (
    <Section
      title={t("dns.title")}
      lead={t("dns.lead")}
      actions={
        <Button icon="copy" disabled={zone === ""} onPress={copy}>
          {t("dns.zone")}
        </Button>
      }
    >
      <Loaded read={dns}>
        {(data) => (
          <>
            {data.problems.map((problem) => (
              <p class="note attention" key={problem}>
                {problem}
              </p>
            ))}
            <Table
              caption={t("dns.title")}
              rows={data.items}
              keyOf={(record) => record.zone}
              empty={t("dns.none")}
              columns={[
                { title: t("dns.name"), cell: (record) => <Copyable text={record.name} label={t("dns.name")} /> },
                { title: t("dns.type"), cell: (record) => record.type },
                { title: t("dns.value"), cell: (record) => <Copyable text={record.value} label={t("dns.value")} /> },
                ...(looked(data) ? [{ title: t("dns.found"), cell: (record: DnsRecord) => <Found found={record.found} /> }] : []),
                {
                  title: t("dns.need"),
                  cell: (record) => (
                    <>
                      <Badge tone={TONES[record.need]}>{known("dns-need", record.need)}</Badge>
                      <p class="soft">{record.purpose}</p>
                    </>
                  ),
                },
              ]}
            />
          </>
        )}
      </Loaded>
    </Section>
  );
}

/** Whether the server looked into DNS. */
function looked(dns: Dns): boolean {
  return dns.items.some((record) => record.found !== undefined);
}

const FOUND: Record<NonNullable<DnsRecord["found"]>["state"], Tone> = { right: "good", missing: "bad", other: "bad", unknown: "attention" };

/** What DNS has now. */
function Found({ found }: { found: DnsRecord["found"] }) {
  if (!found) return <>–</>;
  return (
    <>
      <Badge tone={FOUND[found.state]}>{known("dns-found", found.state)}</Badge>
      {found.state === "other" && found.values.map((value) => <p class="detail" key={value}>{value}</p>)}
      {found.state === "unknown" && <p class="soft">{found.values}</p>}
    </>
  );
}

// Pages whose work is done elsewhere for now: they say what there is, and how it is done meanwhile.

import { t } from "../../base/i18n.ts";
import { useLive } from "../../base/live.ts";
import type { Status } from "../../base/types.ts";
import { Badge, Loaded, Page, Section } from "../../widgets/parts.tsx";
import { Table } from "../../widgets/table.tsx";

export function UpdatesPage() {
  const status = useLive<Status>("/status");
  return (
    <Page title={t("nav.updates")} lead={t("updates.lead")}>
      <Section title={t("updates.versions")}>
        <Loaded read={status}>
          {({ node, servers }) => (
            <Table
              caption={t("updates.versions")}
              rows={servers}
              keyOf={(server) => server.id}
              empty={t("servers.none")}
              columns={[
                { title: t("server"), cell: (server) => server.name },
                {
                  title: t("server.version"),
                  cell: (server) => (
                    <>
                      {server.version ?? "–"}{" "}
                      {server.version !== null && server.version !== node.version && <Badge tone="attention">{t("updates.differs")}</Badge>}
                    </>
                  ),
                },
              ]}
            />
          )}
        </Loaded>
      </Section>
      <Section title={t("updates.how")}>
        <p>{t("updates.how-lead")}</p>
      </Section>
    </Page>
  );
}

export function MigrationPage() {
  return (
    <Page title={t("nav.migration")} lead={t("migration.lead")}>
      <Section title={t("migration.now")}>
        <p>{t("migration.now-lead")}</p>
        <pre>sterna account move --from OLD --to NEW</pre>
      </Section>
      <Section title={t("migration.files")}>
        <p>{t("migration.files-lead")}</p>
      </Section>
    </Page>
  );
}

// The port between the machines: which may speak with which, derived from the list of servers, as rules to be loaded.
// Nothing is applied from here.

import { t } from "../../base/i18n.ts";
import { useLive } from "../../base/live.ts";
import type { Page as Items, Server } from "../../base/types.ts";
import { Copyable, Loaded, Page, Section } from "../../widgets/parts.tsx";
import { Table } from "../../widgets/table.tsx";
import { rulesOf, splitAddress } from "./rules.ts";

export function FirewallPage() {
  const servers = useLive<Items<Server>>("/servers");
  return (
    <Page title={t("nav.firewall")} lead={t("firewall.lead")}>
      <Loaded read={servers}>
        {({ items }) => (
          <>
            <Section title={t("firewall.between")} lead={t("firewall.between-lead")}>
              <Table
                caption={t("firewall.between")}
                rows={items}
                keyOf={(server) => server.id}
                empty={t("servers.none")}
                columns={[
                  { title: t("server"), cell: (server) => server.name },
                  { title: t("firewall.port"), numeric: true, cell: (server) => splitAddress(server.address).port },
                  {
                    title: t("firewall.from"),
                    cell: (server) => {
                      const others = items.filter((other) => other.id !== server.id);
                      return others.map((other) => splitAddress(other.address).host).join(", ") || "–";
                    },
                  },
                ]}
              />
            </Section>
            {items.map((server) => (
              <Section key={server.id} title={t("firewall.rules", { name: server.name })}>
                <div class="command">
                  <Copyable text={rulesOf(server, items)} label={t("firewall.rules", { name: server.name })} />
                </div>
              </Section>
            ))}
          </>
        )}
      </Loaded>
    </Page>
  );
}

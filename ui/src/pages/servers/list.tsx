// The machines: what they are for, how full and how busy they are, what is under way.

import { part } from "../../base/api.ts";
import { count, known, number, t } from "../../base/i18n.ts";
import { useLive } from "../../base/live.ts";
import { go } from "../../base/router.ts";
import type { Page as Items, Server, Token } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Loaded, Page, Section, Usage } from "../../widgets/parts.tsx";
import { Table } from "../../widgets/table.tsx";
import { GraphsSection } from "../graphs/graphs.tsx";
import { Tokens } from "./tokens.tsx";

/** How often servers are asked how they are while the page is looked at, in milliseconds. */
const ASK_MS = 10_000;

export function ServersPage() {
  const servers = useLive<Items<Server>>("/servers", ASK_MS);
  const tokens = useLive<Items<Token>>("/tokens");
  return (
    <Page
      title={t("nav.servers")}
      lead={t("servers.lead")}
      actions={
        <>
          <Button onPress={() => go("/servers/rebalance")}>{t("rebalance.action")}</Button>
          <Button kind="primary" icon="plus" onPress={() => go("/servers/join")}>
            {t("join.action")}
          </Button>
        </>
      }
    >
      <Loaded read={servers}>
        {({ items }) => (
          <Table
            caption={t("nav.servers")}
            rows={items}
            keyOf={(server) => server.id}
            empty={t("servers.none")}
            columns={[
              {
                title: t("server"),
                cell: (server) => (
                  <>
                    <Link to={`/servers/${part(server.name)}`}>{server.name}</Link>
                    <p class="soft">{server.address}</p>
                  </>
                ),
              },
              { title: t("server.roles"), cell: (server) => <RoleBadges server={server} /> },
              { title: t("state"), cell: (server) => <ServerState server={server} /> },
              { title: t("accounts.title"), numeric: true, cell: (server) => number(server.accounts) },
              { title: t("server.load"), numeric: true, cell: (server) => (server.load === null ? "–" : number(server.load, 2)) },
              { title: t("server.disk"), cell: (server) => <Disk server={server} /> },
            ]}
          />
        )}
      </Loaded>
      <GraphsSection drawn={["disk", "load", "sessions", "replication_lag_seconds"]} />
      {tokens.data && tokens.data.items.length > 0 && (
        <Section title={t("tokens.title")} lead={t("tokens.lead")}>
          <Tokens tokens={tokens.data.items} />
        </Section>
      )}
    </Page>
  );
}

export function RoleBadges({ server }: { server: { roles: string[] } }) {
  return (
    <>
      {server.roles.map((role) => (
        <Badge key={role}>{known("role", role)}</Badge>
      ))}
    </>
  );
}

/** How a server is, in as few words as say all of it. */
export function ServerState({ server }: { server: Server }) {
  return (
    <>
      <Badge tone={server.answers ? "good" : "bad"}>{t(server.answers ? "server.answers" : "server.silent")}</Badge>
      {server.draining && <Badge tone="attention">{t("server.draining")}</Badge>}
      {!server.draining && !server.accepts_new_accounts && server.roles.includes("data") && (
        <Badge tone="plain">{t("server.closed")}</Badge>
      )}
      {server.moves_in > 0 && <Badge tone="info">{count("server.in", server.moves_in)}</Badge>}
      {server.moves_out > 0 && <Badge tone="info">{count("server.out", server.moves_out)}</Badge>}
    </>
  );
}

export function Disk({ server }: { server: Server }) {
  if (server.disk_bytes === null || server.free_bytes === null) return <>–</>;
  return <Usage used={server.disk_bytes - server.free_bytes} of={server.disk_bytes} label={t("server.disk")} />;
}

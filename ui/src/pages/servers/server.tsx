// One server: its roles, what it carries, who stands by for it, and how to empty and remove it.

import { useEffect, useState } from "preact/hooks";
import { asProblem, ask, part, type Problem } from "../../base/api.ts";
import { ago, bytes, count, known, moment, number, t } from "../../base/i18n.ts";
import { changed, deleting, useLive } from "../../base/live.ts";
import { useNamed } from "../../base/named.ts";
import { go } from "../../base/router.ts";
import type { Domain, Entry, Page as Items, Plan, Server } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { Field, type FieldSpec } from "../../widgets/field.tsx";
import { EditForm } from "../../widgets/form.tsx";
import { Form } from "../../widgets/once.tsx";
import { Link } from "../../widgets/link.tsx";
import { Facts, Loaded, Page, Section } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { pathOf } from "../people/paths.ts";
import { GraphsSection } from "../graphs/graphs.tsx";
import { FailoverDialog } from "./failover.tsx";
import { Disk, RoleBadges, ServerState } from "./list.tsx";
import { PlanWords } from "./move.tsx";

const ASK_MS = 10_000;

const GRAPHS = ["disk", "load", "sessions", "deliveries_per_minute", "queue_messages", "replication_lag_seconds"] as const;

export function ServerPage({ name }: { name: string }) {
  const { all, path } = useNamed<Server>("/servers", name);
  const read = useLive<Server>(path, ASK_MS);
  const server = read.data;
  return (
    <Page
      title={server?.name ?? name}
      up={{ to: "/servers", title: t("nav.servers") }}
      lead={server && <><ServerState server={server} /> <RoleBadges server={server} /></>}
      actions={server && path && <ServerActions server={server} etag={read.etag} path={path} />}
    >
      <Loaded read={read}>
        {(data) => (
          <div class="columns">
            <div>
              <Condition server={data} />
              <GraphsSection drawn={GRAPHS} server={data.id} />
              <Section title={t("server.settings")}>
                <EditForm path={`/servers/${part(data.id)}`} name={data.name} data={data} etag={read.etag} fields={fields(data)} also={["/servers", "/status"]} />
              </Section>
            </div>
            <div>
              {data.roles.includes("data") && (
                <>
                  <DomainsOf server={data} />
                  <Standby key={`${data.standby} ${data.standby_durability}`} server={data} others={(all.data?.items ?? []).filter((other) => other.id !== data.id)} />
                  <AccountsOf server={data} />
                </>
              )}
            </div>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function fields(server: Server): FieldSpec[] {
  const roles = ["data", "edge"].map((role) => ({ value: role, label: `${known("role", role)}: ${known("role-hint", role)}` }));
  if (server.roles.includes("main")) roles.unshift({ value: "main", label: `${known("role", "main")}: ${known("role-hint", "main")}` });
  return [
    { name: "name", label: t("server.name"), kind: "text", required: true },
    { name: "roles", label: t("server.roles"), kind: "choices", choices: roles, hint: t("server.roles-hint") },
    { name: "address", label: t("server.address"), kind: "text", hint: t("server.address-hint") },
    { name: "weight", label: t("server.weight"), kind: "number", hint: t("server.weight-hint") },
    { name: "accepts_new_accounts", label: t("server.accepts"), kind: "toggle" },
  ];
}

function Condition({ server }: { server: Server }) {
  return (
    <Section title={t("server.condition")}>
      {server.cause && <p class="remedy">{server.cause}</p>}
      <Facts
        items={[
          [t("server.disk"), <Disk server={server} />],
          [t("server.load"), server.load === null ? "–" : number(server.load, 2)],
          [t("accounts.title"), number(server.accounts)],
          [t("server.copies"), number(server.copies)],
          [t("server.version"), server.version ?? "–"],
          [t("server.started"), server.started_at ? <span title={moment(server.started_at)}>{ago(server.started_at)}</span> : "–"],
          [t("server.joined"), moment(server.created_at)],
        ]}
      />
      {server.copying && (
        <p class="soft">
          {t("server.copying", { speed: bytes(server.copying.bytes_per_second) })}
          {server.copying.slowed && <> · {server.copying.slowed}</>}
        </p>
      )}
    </Section>
  );
}

/** Which domains put new accounts here. */
function DomainsOf({ server }: { server: Server }) {
  const domains = useLive<Items<Domain>>("/domains");
  return (
    <Section title={t("server.domains")} lead={t("server.domains-lead")}>
      <Loaded read={domains}>
        {({ items }) => (
          <ul class="bare">
            {items.map((domain) => {
              const own = domain.servers.includes(server.name);
              return (
                <li key={domain.id}>
                  <Link to={`/domains/${part(domain.name)}`}>{domain.name}</Link>{" "}
                  <span class="soft">{t(own ? "server.chosen" : domain.servers.length === 0 ? "server.all" : "server.not-chosen")}</span>
                </li>
              );
            })}
          </ul>
        )}
      </Loaded>
    </Section>
  );
}

function AccountsOf({ server }: { server: Server }) {
  const accounts = useLive<Items<Entry>>(`/accounts?server=${part(server.id)}&limit=20`);
  return (
    <Section title={t("accounts.title")} lead={count("server.accounts-here", server.accounts)}>
      <Loaded read={accounts}>
        {({ items }) => (
          <ul class="bare">
            {items.map((entry) => (
              <li key={entry.id}>
                <Link to={pathOf(entry)}>{entry.address}</Link>
              </li>
            ))}
            {server.accounts > items.length && <li class="soft">{count("server.more", server.accounts - items.length)}</li>}
          </ul>
        )}
      </Loaded>
    </Section>
  );
}

/** Another server that has a copy of everything here. */
function Standby({ server, others }: { server: Server; others: Server[] }) {
  const [on, setOn] = useState(server.standby ?? "");
  const [durability, setDurability] = useState(String(server.standby_durability ?? 1));
  const path = `/servers/${part(server.id)}/standby`;
  const put = (body: { on: string; durability: number } | null): Promise<unknown> =>
    (body ? ask("PUT", path, { body }) : ask("DELETE", path)).then(() => changed("/servers", "/accounts"));
  const before = server.standby ? { on: server.standby, durability: server.standby_durability ?? 1 } : null;
  const save = (): Promise<boolean> =>
    attempt(async () => {
      await put(on === "" ? null : { on, durability: Number(durability) });
      done(t("saved", { name: t("standby.title") }), () => put(before));
    });
  const isSame = on === (server.standby ?? "") && (on === "" || Number(durability) === (server.standby_durability ?? 1));
  const data = others.filter((other) => other.roles.includes("data"));
  return (
    <Section title={t("standby.title")} lead={t("standby.lead")}>
      <Form class="edit" onSubmit={save}>
        <Field
          spec={{
            name: "on",
            label: t("standby.on"),
            kind: "select",
            choices: [{ value: "", label: t("standby.none") }, ...data.map((other) => ({ value: other.name, label: other.name }))],
          }}
          value={on}
          onChange={(value) => setOn(String(value ?? ""))}
        />
        {on !== "" && (
          <Field
            spec={{
              name: "durability",
              label: t("standby.durability"),
              kind: "select",
              choices: [
                { value: "1", label: t("standby.one") },
                { value: "2", label: t("standby.two") },
              ],
            }}
            value={durability}
            onChange={(value) => setDurability(String(value))}
          />
        )}
        <footer class="actions">
          <Button type="submit" kind="primary" disabled={isSame}>
            {t("save")}
          </Button>
        </footer>
      </Form>
    </Section>
  );
}

interface ActionProps {
  server: Server;
  path: string;
  etag: string | null;
}

function ServerActions({ server, path, etag }: ActionProps) {
  const [asks, setAsks] = useState<"drain" | "remove" | "failover" | null>(null);
  const undrain = async (): Promise<void> => {
    await ask("DELETE", `${path}/drain`);
    changed("/servers", "/jobs", "/status");
  };
  const stop = (): Promise<boolean> =>
    attempt(async () => {
      await undrain();
      done(t("drain.stopped", { name: server.name }));
    });
  const isData = server.roles.includes("data");
  return (
    <>
      {isData && !server.answers && server.standby && (
        <Button kind="primary" onPress={() => setAsks("failover")}>
          {t("failover.action")}
        </Button>
      )}
      {isData && server.draining && <Button onPress={stop}>{t("drain.stop")}</Button>}
      {isData && !server.draining && <Button onPress={() => setAsks("drain")}>{t("drain.action")}</Button>}
      {!server.roles.includes("main") && (
        <Button kind="danger" onPress={() => setAsks("remove")}>
          {t("server.remove")}
        </Button>
      )}
      {asks === "failover" && <FailoverDialog server={server} onClose={() => setAsks(null)} />}
      {asks === "drain" && <Drain server={server} onUndo={undrain} onClose={() => setAsks(null)} />}
      {asks === "remove" && (
        <Confirm
          title={t("server.remove-title", { name: server.name })}
          action={t("server.remove")}
          name={server.name}
          danger
          onClose={() => setAsks(null)}
          onConfirm={async () => {
            await deleting([path], () => ask("DELETE", path, { ifMatch: etag }));
            changed("/servers", "/status");
            go("/servers");
            done(t("deleted", { name: server.name }));
          }}
        >
          <p>{t("server.remove-lead")}</p>
        </Confirm>
      )}
    </>
  );
}

/** Shows what emptying a server moves, and begins it. */
function Drain({ server, onUndo, onClose }: { server: Server; onUndo: () => Promise<void>; onClose: () => void }) {
  const [plan, setPlan] = useState<Plan | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const body = { kind: "drain", server: server.id };
  useEffect(() => {
    ask<Plan>("POST", "/jobs?dry_run=true", { body }).then(
      ({ data }) => setPlan(data),
      (error: unknown) => setProblem(asProblem(error)),
    );
  }, []);
  return (
    <Confirm
      title={t("drain.title", { name: server.name })}
      action={t("drain.action")}
      onClose={onClose}
      onConfirm={async () => {
        const { data } = await ask<Plan>("POST", "/jobs", { body });
        changed("/servers", "/jobs", "/status");
        done(t("drain.begun", { name: server.name }), onUndo);
        if (data.job) go(`/jobs/${part(data.job.id)}`);
      }}
    >
      <p>{t("drain.lead")}</p>
      {plan ? <PlanWords plan={plan} /> : problem ? <ProblemBox problem={problem} /> : <p aria-busy="true">{t("loading")}</p>}
      {plan && <MovesByTarget plan={plan} />}
    </Confirm>
  );
}

/** How many accounts go where. */
export function MovesByTarget({ plan }: { plan: Plan }) {
  const targets = new Map<string, number>();
  for (const move of plan.moves) targets.set(move.to, (targets.get(move.to) ?? 0) + 1);
  return (
    <ul class="bare">
      {[...targets].map(([to, n]) => (
        <li key={to}>
          {to}: {count("accounts", n)}
        </li>
      ))}
    </ul>
  );
}

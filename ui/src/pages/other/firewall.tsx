// The ports between the machines: who reaches them, what that is as rules on each server, and a change that is taken
// back by itself unless somebody says that all is well.

import { useEffect, useState } from "preact/hooks";
import { asProblem, ask, part, type Problem } from "../../base/api.ts";
import { known, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Firewall, Guarded } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Field } from "../../widgets/field.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Copyable, Facts, Loaded, Page, Section, type Tone } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { Table } from "../../widgets/table.tsx";
import { done } from "../../widgets/toast.tsx";
import { difference } from "./difference.ts";

const PATH = "/firewall";

/** How often it is looked how the servers follow, in milliseconds. */
const LOOK_MS = 3000;

/** How long rules are on trial, in seconds. */
const TRIAL_SECONDS = 60;

const STATES: Record<Guarded["state"], Tone> = { off: "plain", on: "good", following: "info", failed: "bad", silent: "bad" };

export function FirewallPage() {
  const read = useLive<Firewall>(PATH, LOOK_MS);
  return (
    <Page title={t("nav.firewall")} lead={t("firewall.lead")}>
      <Loaded read={read}>
        {(firewall) => (
          <>
            {firewall.confirm_by ? <OnTrial firewall={firewall} until={firewall.confirm_by} /> : <Change firewall={firewall} />}
            <Servers servers={firewall.servers} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

/** Rules that nobody has confirmed yet. */
function OnTrial({ firewall, until }: { firewall: Firewall; until: string }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [left, setLeft] = useState(secondsUntil(until));
  useEffect(() => {
    const timer = setInterval(() => setLeft(secondsUntil(until)), 1000);
    return () => clearInterval(timer);
  }, [until]);
  const act = async (method: "POST" | "DELETE", path: string, body: object | undefined, said: string): Promise<void> => {
    setProblem(null);
    try {
      await ask(method, path, { body });
      done(said);
    } catch (error) {
      setProblem(asProblem(error));
    }
    changed(PATH);
  };
  return (
    <Section
      title={t("firewall.trial")}
      lead={t("firewall.trial-lead", { when: moment(until) })}
      actions={
        <>
          <Button onPress={() => act("DELETE", `${PATH}/trial`, undefined, t("firewall.back"))}>{t("firewall.take-back")}</Button>
          <Button kind="primary" onPress={() => act("POST", `${PATH}/confirm`, { anyway: false }, t("firewall.kept"))}>
            {t("firewall.keep")}
          </Button>
        </>
      }
    >
      <p role="timer">{t("firewall.left", { n: left })}</p>
      {problem && <ProblemBox problem={problem} />}
      <Rules firewall={firewall} />
      <Differences servers={firewall.servers} />
    </Section>
  );
}

function secondsUntil(at: string): number {
  return Math.max(0, Math.ceil((Date.parse(at) - Date.now()) / 1000));
}

function Rules({ firewall }: { firewall: { on: boolean; networks: string[] } }) {
  return (
    <Facts
      items={[
        [t("firewall.guarded"), firewall.on ? t("yes") : t("no")],
        [t("firewall.networks"), firewall.networks.join(", ") || "–"],
      ]}
    />
  );
}

/** Other rules: first seen, then tried. */
function Change({ firewall }: { firewall: Firewall }) {
  const [on, setOn] = useState(firewall.on);
  const [networks, setNetworks] = useState<unknown>(firewall.networks);
  const [plan, setPlan] = useState<Firewall | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const send = async (dryRun: boolean): Promise<void> => {
    setProblem(null);
    try {
      const body = { on, networks: networks ?? [], confirm_seconds: TRIAL_SECONDS };
      const { data } = await ask<Firewall>("PUT", dryRun ? `${PATH}?dry_run=true` : PATH, { body });
      if (dryRun) return setPlan(data);
      setPlan(null);
      changed(PATH);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const differs = (plan?.servers ?? []).some((server) => server.rules_before !== null);
  const edited = <T,>(set: (value: T) => void) => (value: unknown): void => {
    set(value as T);
    setPlan(null);
  };
  return (
    <Section
      title={t("firewall.rules")}
      lead={t("firewall.rules-lead")}
      actions={
        <>
          <Button kind={differs ? undefined : "primary"} onPress={() => send(true)}>
            {t("firewall.preview")}
          </Button>
          {differs && (
            <Button kind="primary" onPress={() => send(false)}>
              {t("firewall.try", { n: TRIAL_SECONDS })}
            </Button>
          )}
        </>
      }
    >
      <Field spec={{ name: "on", kind: "toggle", label: t("firewall.guarded"), hint: t("firewall.guarded-hint") }} value={on} onChange={edited(setOn)} />
      <Field
        spec={{ name: "networks", kind: "list", label: t("firewall.networks"), hint: t("firewall.networks-hint"), placeholder: "192.0.2.0/24" }}
        value={networks}
        onChange={edited(setNetworks)}
      />
      {problem && <ProblemBox problem={problem} />}
      {plan && (differs ? <Differences servers={plan.servers} /> : <p role="status">{t("firewall.same")}</p>)}
    </Section>
  );
}

/** What the rules of each server would be, beside what they are. */
function Differences({ servers }: { servers: Guarded[] }) {
  return (
    <>
      {servers.map((server) => (
        <details key={server.name} open={servers.length <= 3}>
          <summary>{server.name}</summary>
          {server.rules === null || server.rules_before === null ? (
            <p class="soft">{t("firewall.unknown")}</p>
          ) : (
            <pre class="difference" role="region" tabIndex={0} aria-label={t("firewall.difference", { name: server.name })}>
              {difference(server.rules_before, server.rules).map(({ sign, text }, at) => {
                if (sign === "+") return <ins key={at}>{`+ ${text}\n`}</ins>;
                if (sign === "-") return <del key={at}>{`- ${text}\n`}</del>;
                return `  ${text}\n`;
              })}
            </pre>
          )}
        </details>
      ))}
    </>
  );
}

function Servers({ servers }: { servers: Guarded[] }) {
  return (
    <Section title={t("firewall.between")} lead={t("firewall.between-lead")}>
      <Table
        caption={t("firewall.between")}
        rows={servers}
        keyOf={(server) => server.name}
        empty={t("servers.none")}
        columns={[
          { title: t("server"), cell: (server) => <Link to={`/servers/${part(server.name)}`}>{server.name}</Link> },
          { title: t("firewall.ports"), numeric: true, cell: (server) => server.ports.join(", ") || "–" },
          {
            title: t("firewall.state"),
            cell: (server) => (
              <>
                <Badge tone={STATES[server.state]}>{known("firewall-state", server.state)}</Badge>
                {server.failure && <p>{server.failure}</p>}
                {server.remedy && <p class="soft">{server.remedy}</p>}
              </>
            ),
          },
          {
            title: t("firewall.by-hand"),
            cell: (server) => <Copyable text={`sterna firewall rules ${server.name} | nft -f -`} label={server.name} />,
          },
        ]}
      />
    </Section>
  );
}

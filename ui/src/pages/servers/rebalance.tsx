// Evening out: what each server has now and would have then, every move, and nothing done until it was seen.

import { useState } from "preact/hooks";
import { asProblem, ask, part, type Problem } from "../../base/api.ts";
import { bytes, number, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import { go } from "../../base/router.ts";
import type { Page as Items, Plan, PlannedMove, Server } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Loaded, Page, Section } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { Table } from "../../widgets/table.tsx";
import { done } from "../../widgets/toast.tsx";
import { PlanWords } from "./move.tsx";

/** Moves of one request: fewer than the API takes, and well within its largest body. */
const MOVES_PER_REQUEST_MAX = 1000;

/** Moves that are shown one by one. */
const SHOWN_MAX = 200;

export function RebalancePage() {
  const servers = useLive<Items<Server>>("/servers");
  const [plan, setPlan] = useState<Plan | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const make = async (): Promise<void> => {
    setProblem(null);
    try {
      setPlan((await ask<Plan>("POST", "/jobs?dry_run=true", { body: { kind: "rebalance" } })).data);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const begin = async (): Promise<void> => {
    if (!plan) return;
    setProblem(null);
    try {
      const job = await submit(plan.moves);
      changed("/jobs", "/servers", "/status");
      done(t("rebalance.begun"));
      if (job) go(`/jobs/${part(job)}`);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <Page title={t("rebalance.title")} up={{ to: "/servers", title: t("nav.servers") }} lead={t("rebalance.lead")}>
      <Loaded read={servers}>
        {({ items }) => (
          <Section
            title={t("rebalance.plan")}
            actions={
              <>
                <Button kind={plan ? undefined : "primary"} onPress={make}>
                  {t(plan ? "rebalance.again" : "rebalance.make")}
                </Button>
                {plan && plan.moves.length > 0 && (
                  <Button kind="primary" onPress={begin}>
                    {t("rebalance.do")}
                  </Button>
                )}
              </>
            }
          >
            {problem && <ProblemBox problem={problem} />}
            {plan && (plan.moves.length === 0 ? <p class="empty">{t("rebalance.even")}</p> : <PlanWords plan={plan} />)}
            <Difference servers={items.filter((server) => server.roles.includes("data"))} moves={plan?.moves ?? []} />
          </Section>
        )}
      </Loaded>
      {plan && plan.moves.length > 0 && <Moves moves={plan.moves} />}
    </Page>
  );
}

/** Exactly the moves that were shown, in as many requests as they need. */
async function submit(moves: PlannedMove[]): Promise<number | null> {
  let job: number | null = null;
  for (let at = 0; at < moves.length; at += MOVES_PER_REQUEST_MAX) {
    const some = moves.slice(at, at + MOVES_PER_REQUEST_MAX).map(({ account, from, to }) => ({ account, from, to }));
    const body: Record<string, unknown> = { kind: "rebalance", moves: some };
    if (job !== null) body["job"] = job;
    const { data } = await ask<Plan>("POST", "/jobs", { body });
    job ??= data.job?.id ?? null;
  }
  return job;
}

function Difference({ servers, moves }: { servers: Server[]; moves: PlannedMove[] }) {
  const of = (side: "from" | "to", name: string): PlannedMove[] => moves.filter((move) => move[side] === name);
  const size = (some: PlannedMove[]): number => some.reduce((sum, move) => sum + (move.bytes ?? 0), 0);
  const signed = (n: number, words: string): string => (n === 0 ? "±0" : `${n > 0 ? "+" : "−"}${words}`);
  return (
    <Table
      caption={t("rebalance.plan")}
      rows={servers}
      keyOf={(server) => server.id}
      empty={t("servers.none")}
      columns={[
        { title: t("server"), cell: (server) => server.name },
        { title: t("server.weight"), numeric: true, cell: (server) => number(server.weight) },
        { title: t("rebalance.now"), numeric: true, cell: (server) => number(server.accounts) },
        {
          title: t("rebalance.then"),
          numeric: true,
          cell: (server) => number(server.accounts - of("from", server.name).length + of("to", server.name).length),
        },
        {
          title: t("rebalance.difference"),
          numeric: true,
          cell: (server) => {
            const change = of("to", server.name).length - of("from", server.name).length;
            const weight = size(of("to", server.name)) - size(of("from", server.name));
            return (
              <span class={change < 0 ? "less" : change > 0 ? "more" : ""}>
                {signed(change, number(Math.abs(change)))} ({signed(weight, bytes(Math.abs(weight)))})
              </span>
            );
          },
        },
      ]}
    />
  );
}

function Moves({ moves }: { moves: PlannedMove[] }) {
  return (
    <Section title={t("rebalance.moves")}>
      <Table
        caption={t("rebalance.moves")}
        rows={moves.slice(0, SHOWN_MAX)}
        keyOf={(move) => String(move.account)}
        empty=""
        columns={[
          { title: t("people.address"), cell: (move) => move.address },
          { title: t("move.from"), cell: (move) => <span class="less">− {move.from}</span> },
          { title: t("move.to"), cell: (move) => <span class="more">+ {move.to}</span> },
          { title: t("size"), numeric: true, cell: (move) => (move.bytes === null ? "–" : bytes(move.bytes)) },
        ]}
      />
      {moves.length > SHOWN_MAX && <p class="soft">{t("rebalance.and-more", { n: number(moves.length - SHOWN_MAX) })}</p>}
    </Section>
  );
}

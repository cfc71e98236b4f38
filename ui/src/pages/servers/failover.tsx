// Taking over from a server that is lost: what each copy has and lacks is shown before anybody decides.

import { useEffect, useState } from "preact/hooks";
import { asProblem, ask, part, type Problem } from "../../base/api.ts";
import { ago, count, t } from "../../base/i18n.ts";
import { changed } from "../../base/live.ts";
import { go } from "../../base/router.ts";
import type { Failover, Server } from "../../base/types.ts";
import { Confirm } from "../../widgets/dialog.tsx";
import { Facts } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { done } from "../../widgets/toast.tsx";

export function FailoverDialog({ server, onClose }: { server: Server; onClose: () => void }) {
  const [plan, setPlan] = useState<Failover | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const body = { kind: "failover", server: server.id };
  useEffect(() => {
    ask<Failover>("POST", "/jobs?dry_run=true", { body }).then(
      ({ data }) => setPlan(data),
      (error: unknown) => setProblem(asProblem(error)),
    );
  }, []);
  const begin = async (): Promise<void> => {
    const { data } = await ask<Failover>("POST", "/jobs", { body });
    changed("/servers", "/jobs", "/accounts", "/status");
    done(t("failover.begun", { name: server.name }));
    if (data.job) go(`/jobs/${part(data.job.id)}`);
  };
  return (
    <Confirm
      title={t("failover.title", { name: server.name })}
      action={t("failover.action-now")}
      name={server.name}
      danger
      onClose={onClose}
      onConfirm={begin}
    >
      <p>{t("failover.lead")}</p>
      {plan && <Outcome plan={plan} />}
      {problem && <ProblemBox problem={problem} />}
      {!plan && !problem && <p aria-busy="true">{t("loading")}</p>}
    </Confirm>
  );
}

/** What would come of it. */
function Outcome({ plan }: { plan: Failover }) {
  const items: [string, string][] = [];
  if (plan.silent_since) items.push([t("failover.silent"), ago(plan.silent_since)]);
  items.push([t("failover.safe"), count("accounts", plan.safe)]);
  items.push([t("failover.complete"), count("accounts", plan.complete)]);
  if (plan.behind > 0) items.push([t("failover.behind"), `${count("accounts", plan.behind)}, ${count("lag", plan.changes_lost)}`]);
  if (plan.unknown > 0) items.push([t("failover.unknown"), count("accounts", plan.unknown)]);
  return (
    <div class="plan">
      <Facts items={items} />
      {plan.refused.length > 0 && (
        <ul class="refused">
          {plan.refused.map((refused) => (
            <li key={refused.account}>
              <strong>{refused.address}</strong>: {refused.reason}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

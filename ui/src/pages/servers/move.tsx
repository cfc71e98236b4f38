// Moving accounts: what it means before it begins, and how far it is while it goes.

import { useEffect, useState } from "preact/hooks";
import { asProblem, ask, type Problem } from "../../base/api.ts";
import { bytes, count, duration, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Page, Plan, Server } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Dialog } from "../../widgets/dialog.tsx";
import { Field } from "../../widgets/field.tsx";
import { Link } from "../../widgets/link.tsx";
import { Progress } from "../../widgets/parts.tsx";
import { Form } from "../../widgets/once.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { done } from "../../widgets/toast.tsx";
import { JobActions, useJob } from "../jobs/job.tsx";
import { inWords, JobState, MoveLine, paceOf, partOf } from "../jobs/parts.tsx";
import { placesOf } from "../people/create.tsx";

interface Account {
  id: number;
  address: string;
  server: string | undefined;
}

interface Props {
  accounts: Account[];
  onClose: () => void;
  onBegun: (job: number) => void;
}

/** Asks where to; shows how much that is, and what is refused, before anything is done. */
export function MoveDialog({ accounts, onClose, onBegun }: Props) {
  const servers = useLive<Page<Server>>("/servers").data?.items ?? [];
  const [to, setTo] = useState("");
  const [plan, setPlan] = useState<Plan | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const from = new Set(accounts.map((account) => account.server));
  const places = placesOf(servers).filter((place) => from.size > 1 || !from.has(place.value));
  const which = { accounts: accounts.map((account) => account.address) };
  const choose = async (server: string): Promise<void> => {
    setTo(server);
    setPlan(null);
    setProblem(null);
    if (server === "") return;
    try {
      const { data } = await ask<Plan>("POST", "/jobs?dry_run=true", { body: { kind: "move", which, to: server } });
      setPlan(data);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const begin = async (event: Event): Promise<void> => {
    event.preventDefault();
    setProblem(null);
    try {
      const { data } = await ask<Plan>("POST", "/jobs", { body: { kind: "move", which, to } });
      if (data.job) {
        onBegun(data.job.id);
        done(t("move.begun"));
      }
      changed("/jobs", "/accounts", "/status");
      onClose();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const title = accounts.length === 1 ? t("move.title", { name: accounts[0]!.address }) : count("move.several", accounts.length);
  return (
    <Dialog title={title} onClose={onClose}>
      <Form onSubmit={begin}>
        <p>{t("move.lead")}</p>
        <Field
          spec={{ name: "to", label: t("move.to"), kind: "select", choices: [{ value: "", label: t("move.choose") }, ...places] }}
          value={to}
          onChange={(value) => void choose(String(value ?? ""))}
        />
        {plan && <PlanWords plan={plan} />}
        {problem && <ProblemBox problem={problem} />}
        <footer class="actions">
          <Button onPress={onClose}>{t("cancel")}</Button>
          <Button type="submit" kind="primary" disabled={!plan || plan.moves.length === 0}>
            {t("move.action-now")}
          </Button>
        </footer>
      </Form>
    </Dialog>
  );
}

/** What a plan would do. */
export function PlanWords({ plan }: { plan: Plan }) {
  return (
    <div class="plan">
      {plan.moves.length > 0 && (
        <p>
          {count("plan.moves", plan.moves.length)} · {bytes(plan.bytes)} ·{" "}
          {t("plan.expected", { time: duration(plan.expected_seconds) })}
          {plan.moves.every((move) => move.has_copy) && <> · {t("plan.has-copy")}</>}
        </p>
      )}
      {plan.there.length > 0 && <p class="soft">{count("plan.there", plan.there.length)}</p>}
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

interface WatchProps {
  job: number;
  account: number;
  onEnd: () => void;
}

/** A move as it happens: a bar, the speed, when it will be over; and what can be done with it. */
export function MoveWatch({ job: id, account, onEnd }: WatchProps) {
  const { data: job, problem } = useJob(id);
  const isOver = job !== null && ["done", "aborted"].includes(job.state);
  const place = job?.moving.find((move) => move.account === account);
  // When the account's own move is over, where it lives is other than before.
  const phase = place?.phase ?? (isOver ? "over" : "waits");
  useEffect(() => {
    onEnd();
  }, [phase]);
  if (problem && !job) return <ProblemBox problem={problem} />;
  if (!job) return null;
  return (
    <div class="watch" role="group" aria-label={t("move.watch")}>
      <p>
        <Link to={`/jobs/${id}`}>{job.what}</Link> <JobState job={job} />
      </p>
      {place ? <MoveLine move={place} /> : <Progress part={partOf(job)} label={t("job.progress")} />}
      <p class="soft" aria-live="polite">
        {isOver ? inWords(job) : paceOf(job) || inWords(job)}
      </p>
      {job.failures
        .filter((move) => move.account === account)
        .map((move) => (
          <MoveLine key={move.account} move={move} />
        ))}
      <div class="actions">
        <JobActions job={job} />
      </div>
    </div>
  );
}

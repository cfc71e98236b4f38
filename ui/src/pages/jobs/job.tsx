// One job: how far it is, what is on its way, what failed and why; pause, abort, try again.

import { ask, part } from "../../base/api.ts";
import { count, known, moment, number, t } from "../../base/i18n.ts";
import { changed, useLive, usePages } from "../../base/live.ts";
import type { JobLogLine, JobProgress } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Facts, Loaded, Page, Progress, Section } from "../../widgets/parts.tsx";
import { More, Table } from "../../widgets/table.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { inWords, JobState, MoveLine, paceOf, partOf } from "./parts.tsx";

/** How often a job is looked at while it runs, in milliseconds. */
export const WATCH_MS = 1000;

export function useJob(id: string | number | null) {
  const path = id === null ? null : `/jobs/${part(id)}`;
  const first = useLive<JobProgress>(path);
  const runs = first.data === null || ["running", "aborting"].includes(first.data.state);
  return useLive<JobProgress>(path, runs ? WATCH_MS : undefined);
}

export function JobPage({ id }: { id: string }) {
  const job = useJob(id);
  return (
    <Page
      title={job.data?.what ?? t("job.title")}
      up={{ to: "/jobs", title: t("nav.jobs") }}
      actions={job.data && <JobActions job={job.data} />}
    >
      <Loaded read={job}>{(data) => <JobDetails job={data} />}</Loaded>
      <Log id={id} />
    </Page>
  );
}

type Change = "pause" | "resume" | "abort" | "retry" | "dismiss";

/** What can be done with a job as it is. */
export function JobActions({ job }: { job: JobProgress }) {
  const set = async (change: Change): Promise<unknown> => {
    const answer = await ask("PATCH", `/jobs/${part(job.id)}`, { body: { change } });
    changed("/jobs", "/status");
    return answer;
  };
  const act = (change: Change, back?: Change) => () =>
    attempt(async () => {
      await set(change);
      done(known("job-done", change), back && (() => set(back)));
    });
  return (
    <>
      {job.state === "running" && <Button onPress={act("pause", "resume")}>{t("job.pause")}</Button>}
      {job.state === "paused" && (
        <Button kind="primary" onPress={act("resume", "pause")}>
          {t("job.resume")}
        </Button>
      )}
      {(job.state === "running" || job.state === "paused") && (
        <Button kind="danger" onPress={act("abort")}>
          {t("job.abort")}
        </Button>
      )}
      {job.failures.length > 0 && (
        <>
          <Button kind="primary" onPress={act("retry")}>
            {t("job.retry")}
          </Button>
          <Button onPress={act("dismiss")}>{t("job.dismiss")}</Button>
        </>
      )}
    </>
  );
}

function JobDetails({ job }: { job: JobProgress }) {
  const slowed = job.servers.filter((server) => server.slowed);
  return (
    <>
      <Section title={t("job.progress")}>
        <p>
          <JobState job={job} /> {inWords(job)}
        </p>
        <Progress part={partOf(job)} label={t("job.progress")} />
        <p class="soft">{paceOf(job)}</p>
        {slowed.map((server) => (
          <p class="soft" key={server.server}>
            {server.server}: {server.slowed}
          </p>
        ))}
        {job.unknown_sizes > 0 && <p class="soft">{count("job.unknown", job.unknown_sizes)}</p>}
        <Facts
          items={[
            [t("job.kind"), known("job-kind", job.kind)],
            [t("by"), job.by || "–"],
            [t("job.began"), moment(job.created_at)],
            [t("job.ended"), moment(job.ended_at)],
          ]}
        />
      </Section>
      {job.moving.length > 0 && (
        <Section title={t("job.moving")}>
          {job.moving.map((move) => (
            <MoveLine key={move.account} move={move} />
          ))}
        </Section>
      )}
      {job.failures.length > 0 && (
        <Section title={t("job.failures")}>
          {job.failures.map((move) => (
            <MoveLine key={move.account} move={move} />
          ))}
        </Section>
      )}
    </>
  );
}

/** What became of each account, and what was said about the job; kept when it is over. */
function Log({ id }: { id: string }) {
  const lines = usePages<JobLogLine>(`/jobs/${part(id)}/log?limit=50`);
  if (lines.items.length === 0) return null;
  return (
    <Section title={t("job.log")}>
      <Table
        caption={t("job.log")}
        rows={lines.items}
        keyOf={(line) => String(line.number)}
        empty={t("loading")}
        columns={[
          { title: t("job.at"), cell: (line) => moment(line.at) },
          { title: t("job.event"), cell: (line) => known("job-event", line.what) },
          {
            title: t("people.address"),
            cell: (line) =>
              line.address === null ? (
                "–"
              ) : (
                <>
                  <strong>{line.address}</strong> <span class="soft">{t("move.way", { from: line.from ?? "", to: line.to ?? "" })}</span>
                </>
              ),
          },
          { title: t("job.more"), cell: (line) => said(line) },
        ]}
      />
      <More more={lines.more} loading={lines.loading} />
    </Section>
  );
}

/** Why, and for how long nobody could write. */
function said(line: JobLogLine): string {
  const words = line.says === "" ? [] : [line.says];
  if (line.cut_over_ms !== null) words.push(t("job.cut-over", { n: number(line.cut_over_ms) }));
  return words.join(" · ") || "–";
}

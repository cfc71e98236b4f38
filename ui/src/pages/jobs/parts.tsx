// Jobs as they are shown in several places.

import { part } from "../../base/api.ts";
import { bytes, count, duration, known, number, t } from "../../base/i18n.ts";
import type { Job, JobProgress, Move } from "../../base/types.ts";
import { Link } from "../../widgets/link.tsx";
import { Badge, Progress, type Tone } from "../../widgets/parts.tsx";

const TONES: Record<Job["state"], Tone> = { running: "info", paused: "attention", aborting: "attention", done: "good", aborted: "plain" };

export function JobState({ job }: { job: Job }) {
  const tone = job.failed > 0 && job.state === "done" ? "bad" : TONES[job.state];
  return <Badge tone={tone}>{known("job-state", job.state)}</Badge>;
}

/** How much of a job is over: accounts that are done, whatever became of them. */
export function partOf(job: Job): number {
  return job.total === 0 ? 1 : (job.total - job.left) / job.total;
}

/** One job on one line. */
export function JobLine({ job }: { job: Job }) {
  return (
    <div class="job-line">
      <div>
        <Link to={`/jobs/${part(job.id)}`}>{job.what}</Link> <JobState job={job} />
        <p class="soft">{inWords(job)}</p>
      </div>
      <Progress part={partOf(job)} label={job.what} />
    </div>
  );
}

export function inWords(job: Job): string {
  const words = [t("job.of", { done: number(job.done), total: count("accounts", job.total) })];
  if (job.failed > 0) words.push(t("job.failed", { n: number(job.failed) }));
  if (job.aborted > 0) words.push(t("job.aborted", { n: number(job.aborted) }));
  return words.join(" · ");
}

/** The speed of a job, and when it will be over. */
export function paceOf(job: JobProgress): string {
  const words: string[] = [];
  if (job.bytes_total > 0) {
    words.push(t("job.bytes", { done: bytes(job.bytes_total - job.bytes_left), total: bytes(job.bytes_total) }));
  }
  if (job.bytes_per_second) words.push(t("job.speed", { speed: bytes(job.bytes_per_second) }));
  if (job.expected_end_at) {
    const seconds = (new Date(job.expected_end_at).getTime() - Date.now()) / 1000;
    words.push(t("job.left", { time: duration(seconds) }));
  }
  if (job.lag > 0) words.push(count("lag", job.lag));
  return words.join(" · ");
}

/** For how long a move that began may say that there is no copy yet, in milliseconds. */
const YOUNG_MS = 5000;

function isYoung(move: Move): boolean {
  return move.started_at === null || Date.now() - new Date(move.started_at).getTime() < YOUNG_MS;
}

/** One account on its way. */
export function MoveLine({ move }: { move: Move }) {
  const known_ = move.bytes !== null && move.bytes > 0 && move.copied_bytes !== null;
  const copied = known_ ? Math.min(1, move.copied_bytes! / move.bytes!) : 0;
  const words = [known("phase", move.phase)];
  if (known_) words.push(t("job.bytes", { done: bytes(Math.min(move.copied_bytes!, move.bytes!)), total: bytes(move.bytes!) }));
  if (move.lag) words.push(count("lag", move.lag));
  if (move.attempts > 1) words.push(count("job.attempt", move.attempts));
  return (
    <div class="job-line">
      <div>
        <strong>{move.address}</strong>{" "}
        <span class="soft">{t("move.way", { from: move.from, to: move.to })}</span>
        <p class="soft">{words.join(" · ")}</p>
        {move.trouble && !isYoung(move) && <p class="remedy">{move.trouble}</p>}
        {move.failed && <p class="remedy">{move.failed}</p>}
      </div>
      {move.phase !== "failed" && (
        <Progress part={move.phase === "cut-over" ? 1 : copied} label={t("move.progress", { address: move.address })} />
      )}
    </div>
  );
}

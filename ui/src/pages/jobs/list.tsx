// All jobs, the latest first.

import { part } from "../../base/api.ts";
import { known, moment, t } from "../../base/i18n.ts";
import { usePages } from "../../base/live.ts";
import { parameters, setParameter } from "../../base/router.ts";
import type { Job } from "../../base/types.ts";
import { Link } from "../../widgets/link.tsx";
import { Page, Progress } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { More, Table } from "../../widgets/table.tsx";
import { Runs } from "../people/source.tsx";
import { Schedule } from "./schedule.tsx";
import { inWords, JobState, partOf } from "./parts.tsx";

export function JobsPage() {
  const active = parameters.value.get("active") === "true";
  const jobs = usePages<Job>(`/jobs?limit=50${active ? "&active=true" : ""}`);
  return (
    <Page title={t("nav.jobs")} lead={t("jobs.lead")}>
      <p class="filters">
        <label class="inline">
          <input
            type="checkbox"
            checked={active}
            onChange={(event) => setParameter("active", event.currentTarget.checked ? "true" : "")}
          />
          {t("jobs.active")}
        </label>
      </p>
      {jobs.problem && <ProblemBox problem={jobs.problem} onRetry={jobs.reload} />}
      <Table
        caption={t("nav.jobs")}
        rows={jobs.items}
        keyOf={(job) => String(job.id)}
        empty={jobs.loading ? t("loading") : t("jobs.none")}
        columns={[
          { title: t("job.title"), cell: (job) => <Link to={`/jobs/${part(job.id)}`}>{job.what}</Link> },
          { title: t("job.kind"), cell: (job) => known("job-kind", job.kind) },
          { title: t("state"), cell: (job) => <JobState job={job} /> },
          {
            title: t("job.progress"),
            cell: (job) => (
              <>
                <Progress part={partOf(job)} label={job.what} />
                <span class="soft">{inWords(job)}</span>
              </>
            ),
          },
          { title: t("by"), cell: (job) => job.by || "–" },
          { title: t("job.began"), cell: (job) => moment(job.created_at) },
        ]}
      />
      <More more={jobs.more} loading={jobs.loading} />
      <Schedule />
      <Runs />
    </Page>
  );
}

// Who changed what: settings with their values before and after, and jobs with who began them.

import { t } from "../../base/i18n.ts";
import { usePages } from "../../base/live.ts";
import type { Job, SettingChange } from "../../base/types.ts";
import { Link } from "../../widgets/link.tsx";
import { Page, Section } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { More } from "../../widgets/table.tsx";
import { JobLine } from "../jobs/parts.tsx";
import { History } from "../settings/parts.tsx";

export function AuditPage() {
  const changes = usePages<SettingChange>("/setting-changes?limit=50");
  const jobs = usePages<Job>("/jobs?limit=20");
  return (
    <Page title={t("nav.audit")} lead={t("audit.lead")}>
      <Section title={t("audit.settings")}>
        {changes.problem && <ProblemBox problem={changes.problem} onRetry={changes.reload} />}
        {changes.items.length === 0 && <p class="empty">{changes.loading ? t("loading") : t("settings.no-history")}</p>}
        <History changes={changes.items} />
        <More more={changes.more} loading={changes.loading} />
      </Section>
      <Section title={t("audit.jobs")} actions={<Link to="/jobs">{t("nav.jobs")}</Link>}>
        {jobs.items.length === 0 && <p class="empty">{jobs.loading ? t("loading") : t("jobs.none")}</p>}
        {jobs.items.map((job) => (
          <JobLine key={job.id} job={job} />
        ))}
        <More more={jobs.more} loading={jobs.loading} />
      </Section>
    </Page>
  );
}

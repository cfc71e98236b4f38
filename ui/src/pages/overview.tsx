// The first page: what is wrong and what to do about it, and only then numbers.

import { part } from "../base/api.ts";
import { ago, count, known, moment, number, t } from "../base/i18n.ts";
import { useLive } from "../base/live.ts";
import type { Job, Page as Items, Status } from "../base/types.ts";
import { Icon } from "../widgets/icon.tsx";
import { Link } from "../widgets/link.tsx";
import { Badge, Loaded, Page, Section, Usage } from "../widgets/parts.tsx";
import { GraphsSection } from "./graphs/graphs.tsx";
import { JobLine } from "./jobs/parts.tsx";

/** How often servers are asked how they are while the page is looked at, in milliseconds. */
const ASK_MS = 15_000;

export function OverviewPage() {
  const status = useLive<Status>("/status", ASK_MS);
  const jobs = useLive<Items<Job>>("/jobs?active=true");
  return (
    <Page title={t("nav.overview")}>
      <Loaded read={status}>
        {(data) => (
          <>
            <Health status={data} />
            {jobs.data && jobs.data.items.length > 0 && (
              <Section title={t("overview.under-way")}>
                {jobs.data.items.map((job) => (
                  <JobLine key={job.id} job={job} />
                ))}
              </Section>
            )}
            <Numbers status={data} />
            <GraphsSection drawn={["queue_messages", "deliveries_per_minute", "sessions", "replication_lag_seconds"]} asOne />
            <Servers status={data} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Health({ status }: { status: Status }) {
  const { problems } = status;
  if (problems.length === 0) {
    return (
      <div class="note good" role="status">
        <Icon name="check" />
        <div>
          <strong>{t("overview.well")}</strong>
          <p>{count("overview.answer", status.servers.length)}</p>
        </div>
      </div>
    );
  }
  return (
    <section class="card health" aria-labelledby="health">
      <h2 id="health">{count("overview.problems", problems.length)}</h2>
      <ul>
        {problems.map((problem) => (
          <li key={`${problem.server} ${problem.what}`}>
            <Icon name="warning" />
            <div>
              <p>
                {problem.server && (
                  <strong>
                    <Link to={`/servers/${part(problem.server)}`}>{problem.server}</Link>
                    {": "}
                  </strong>
                )}
                {problem.what}
              </p>
              <p class="remedy">{problem.remedy}</p>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Numbers({ status }: { status: Status }) {
  const { directory } = status;
  const numbers: [string, string, number][] = [
    ["/people/users", t("people.users"), directory.users],
    ["/people/groups", t("people.groups"), directory.groups],
    ["/people/shared", t("people.shared"), directory.shared_mailboxes],
    ["/domains", t("nav.domains"), directory.domains],
    ["/servers", t("nav.servers"), status.servers.length],
  ];
  return (
    <ul class="numbers">
      {numbers.map(([to, title, value]) => (
        <li key={to}>
          <Link to={to}>
            <strong>{number(value)}</strong>
            <span>{title}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function Servers({ status }: { status: Status }) {
  return (
    <Section title={t("nav.servers")}>
      <ul class="machines">
        {status.servers.map((server) => (
          <li key={server.id}>
            <div>
              <Link to={`/servers/${part(server.name)}`}>{server.name}</Link>{" "}
              <Badge tone={server.reachable ? "good" : "bad"}>
                {t(server.reachable ? "server.answers" : "server.silent")}
              </Badge>
              <p class="soft">
                {server.roles.map((role) => known("role", role)).join(", ")} · {count("accounts", server.accounts)}
                {server.started_at && (
                  <span title={moment(server.started_at)}> · {t("server.since", { since: ago(server.started_at) })}</span>
                )}
              </p>
            </div>
            {server.disk_bytes !== null && server.free_bytes !== null && (
              <Usage used={server.disk_bytes - server.free_bytes} of={server.disk_bytes} label={t("server.disk")} />
            )}
          </li>
        ))}
      </ul>
    </Section>
  );
}

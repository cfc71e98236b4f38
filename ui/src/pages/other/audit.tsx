// Who changed what: every request that changed something, with what came of it.

import { query } from "../../base/api.ts";
import { moment, t } from "../../base/i18n.ts";
import { usePages } from "../../base/live.ts";
import { parameters, setParameter } from "../../base/router.ts";
import type { AuditLine } from "../../base/types.ts";
import { Badge, Page, type Tone } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { More, Table } from "../../widgets/table.tsx";

export function AuditPage() {
  const who = parameters.value.get("who") ?? "";
  const text = parameters.value.get("text") ?? "";
  const lines = usePages<AuditLine>(`/audit${query({ limit: 40, who, text })}`);
  return (
    <Page title={t("nav.audit")} lead={t("audit.lead")}>
      <search class="filters">
        <input
          type="search"
          aria-label={t("audit.who")}
          placeholder={t("audit.who")}
          defaultValue={who}
          onChange={(event) => setParameter("who", event.currentTarget.value.trim())}
        />
        <input
          type="search"
          aria-label={t("audit.text")}
          placeholder={t("audit.text")}
          defaultValue={text}
          onChange={(event) => setParameter("text", event.currentTarget.value.trim())}
        />
      </search>
      {lines.problem && <ProblemBox problem={lines.problem} onRetry={lines.reload} />}
      <Table
        caption={t("nav.audit")}
        rows={lines.items}
        keyOf={(line) => String(line.number)}
        empty={lines.loading ? t("loading") : t("audit.none")}
        columns={[
          { title: t("audit.when"), cell: (line) => moment(line.at) },
          {
            title: t("audit.who"),
            cell: (line) => (
              <>
                {line.who}
                <p class="soft">{[line.via, line.peer].filter((one) => one !== "").join(" · ")}</p>
              </>
            ),
          },
          {
            title: t("audit.what"),
            cell: (line) => (
              <>
                <code>
                  {line.method} {line.path}
                </code>
                {line.about && <p class="soft">{line.about}</p>}
                {line.body && <p class="detail">{line.body}</p>}
              </>
            ),
          },
          { title: t("audit.outcome"), cell: (line) => <Badge tone={toneOf(line.status)}>{outcomeOf(line.status)}</Badge> },
        ]}
      />
      <More more={lines.more} loading={lines.loading} />
    </Page>
  );
}

function toneOf(status: number): Tone {
  return status < 300 ? "good" : status < 500 ? "attention" : "bad";
}

function outcomeOf(status: number): string {
  return `${t(status < 300 ? "audit.done" : "audit.refused")} (${status})`;
}

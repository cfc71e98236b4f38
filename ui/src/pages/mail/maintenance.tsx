// All mail routing derived again from the directory, compared with the last time, and checked.

import { useState } from "preact/hooks";
import { asProblem, ask, type Problem } from "../../base/api.ts";
import { list, moment, number, t } from "../../base/i18n.ts";
import type { Maintenance } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Icon } from "../../widgets/icon.tsx";
import { Facts, Page, Section } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { Table } from "../../widgets/table.tsx";
import { MailTabs } from "./tabs.tsx";

export function MaintenancePage() {
  const [run, setRun] = useState<Maintenance | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const start = (dry: boolean) => async (): Promise<void> => {
    setProblem(null);
    try {
      setRun((await ask<Maintenance>("POST", `/mail/maintenance${dry ? "?dry_run=true" : ""}`)).data);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <Page title={t("nav.mail")}>
      <MailTabs />
      <Section
        title={t("maintenance.title")}
        lead={t("maintenance.lead")}
        actions={
          <>
            <Button onPress={start(true)}>{t("maintenance.try")}</Button>
            <Button kind="primary" onPress={start(false)}>
              {t("maintenance.run")}
            </Button>
          </>
        }
      >
        {problem && <ProblemBox problem={problem} />}
        {run && <Run run={run} />}
      </Section>
    </Page>
  );
}

function Run({ run }: { run: Maintenance }) {
  const { added, removed, changed, shown } = run.changes;
  return (
    <div aria-live="polite">
      {run.problems.length === 0 ? (
        <p class="verdict good">
          <Icon name="check" /> {t("maintenance.well")}
        </p>
      ) : (
        <ul class="problems">
          {run.problems.map((found) => (
            <li key={`${found.server} ${found.what}`}>
              <Icon name="warning" />
              <div>
                <p>
                  {found.server && <strong>{found.server}: </strong>}
                  {found.what}
                </p>
                <p class="remedy">{found.remedy}</p>
              </div>
            </li>
          ))}
        </ul>
      )}
      {run.not_asked.length > 0 && <p class="remedy">{t("trace.not-asked", { servers: list(run.not_asked) })}</p>}
      <Facts
        items={[
          [t("maintenance.last"), run.last ? moment(run.last) : t("maintenance.first")],
          [t("maintenance.changes"), t("maintenance.counts", { added: number(added), removed: number(removed), changed: number(changed) })],
        ]}
      />
      {shown.length > 0 && (
        <Table
          caption={t("maintenance.changes")}
          rows={shown}
          keyOf={(change) => `${change.table} ${change.key}`}
          empty=""
          columns={[
            { title: t("maintenance.table"), cell: (change) => change.table },
            { title: t("maintenance.key"), cell: (change) => <code>{change.key}</code> },
            { title: t("conflict.before"), cell: (change) => <del>{change.before ?? "–"}</del> },
            { title: t("maintenance.now"), cell: (change) => <ins>{change.after ?? "–"}</ins> },
          ]}
        />
      )}
      <Table
        caption={t("maintenance.tables")}
        rows={run.tables}
        keyOf={(table) => table.table}
        empty=""
        columns={[
          { title: t("maintenance.table"), cell: (table) => table.table },
          { title: t("maintenance.rows"), numeric: true, cell: (table) => number(table.rows) },
        ]}
      />
    </div>
  );
}

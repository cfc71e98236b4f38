// What happens by itself, when it was done last, and doing it now.

import type { ComponentChild } from "preact";
import { ask, part } from "../../base/api.ts";
import { count, known, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Acme, Page as Items, Source, SourceRun } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Section } from "../../widgets/parts.tsx";
import { Table } from "../../widgets/table.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { Outcome } from "../people/sources.tsx";

interface Scheduled {
  key: string;
  what: string;
  to: string;
  when: string;
  last: ComponentChild;
  run?: () => Promise<unknown>;
}

export function Schedule() {
  const sources = useLive<Items<Source>>("/sources").data?.items ?? [];
  const acme = useLive<Acme>("/acme").data;
  const rows: Scheduled[] = sources.map(ofSource);
  if (acme && acme.state !== "off") rows.push(ofCertificates(acme));
  rows.push({ key: "maintenance", what: t("maintenance.title"), to: "/mail/maintenance", when: t("schedule.by-hand"), last: "–" });
  return (
    <Section title={t("schedule.title")} lead={t("schedule.lead")}>
      <Table
        caption={t("schedule.title")}
        rows={rows}
        keyOf={(row) => row.key}
        empty=""
        columns={[
          { title: t("schedule.what"), cell: (row) => <Link to={row.to}>{row.what}</Link> },
          { title: t("schedule.when"), cell: (row) => row.when },
          { title: t("sources.last-run"), cell: (row) => row.last },
          {
            title: t("schedule.now"),
            cell: ({ run, to, what }) =>
              run ? (
                <Button label={t("schedule.run-what", { what })} onPress={() => attempt(run)}>
                  {t("sources.run")}
                </Button>
              ) : (
                <Link to={to}>{t("schedule.open")}</Link>
              ),
          },
        ]}
      />
    </Section>
  );
}

function ofSource(source: Source): Scheduled {
  const to = `/people/sources/${part(source.name)}`;
  const last = source.last_run && (
    <>
      <Outcome run={source.last_run} /> <Link to={`/jobs/sources/${source.last_run.number}`}>{moment(source.last_run.started_at)}</Link>
    </>
  );
  return {
    key: `source ${source.name}`,
    what: t("schedule.source", { name: source.name }),
    to,
    when: source.enabled ? count("schedule.every", source.every_minutes) : t("schedule.off"),
    last: last ?? "–",
    run: async () => {
      const { data } = await ask<SourceRun>("POST", `/sources/${part(source.name)}/runs`, { body: {} });
      changed("/sources", "/source-runs", "/users", "/groups");
      done(t("sources.ran", { outcome: known("run-outcome", data.outcome) }));
    },
  };
}

function ofCertificates(acme: Acme): Scheduled {
  const when = acme.not_before ?? acme.renew_at;
  return {
    key: "certificates",
    what: t("schedule.certificates"),
    to: "/certificates",
    when: when ? moment(when) : "–",
    last: acme.failure ? <Badge tone="bad">{moment(acme.failure.at)}</Badge> : "–",
  };
}

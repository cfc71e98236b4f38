// One source: what a run would do, its runs, and how it is read.

import { useState } from "preact/hooks";
import { ask, asProblem, part, type Problem } from "../../base/api.ts";
import { known, moment, t } from "../../base/i18n.ts";
import { changed, useLive, usePages } from "../../base/live.ts";
import { go } from "../../base/router.ts";
import type { Source, SourcePlan, SourceRun, SourceStep } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import type { FieldSpec } from "../../widgets/field.tsx";
import { EditForm } from "../../widgets/form.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Facts, Loaded, Page, Section } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { More, Table } from "../../widgets/table.tsx";
import { done } from "../../widgets/toast.tsx";
import { Outcome } from "./sources.tsx";

/** Steps of a plan that are shown until all are asked for. */
const SHOWN_MAX = 50;

export function SourcePage({ name }: { name: string }) {
  const path = `/sources/${part(name)}`;
  const source = useLive<Source>(path);
  const [deletes, setDeletes] = useState(false);
  const actions = (
    <Button kind="danger" onPress={() => setDeletes(true)}>
      {t("delete")}
    </Button>
  );
  return (
    <Page title={name} up={{ to: "/people/sources", title: t("sources.title") }} actions={actions}>
      <Runner name={name} />
      <Runs source={name} />
      <Loaded read={source}>
        {(data) => (
          <Section title={t("sources.settings")}>
            <Facts
              items={[
                [t("sources.kind"), known("source-kind", data.kind)],
                [t("domain"), <Link to={`/domains/${part(data.domain)}`}>{data.domain}</Link>],
                [t("sources.linked"), String(data.linked)],
              ]}
            />
            <EditForm path={path} name={name} data={data} etag={source.etag} fields={fields()} also={["/sources"]} />
          </Section>
        )}
      </Loaded>
      {deletes && (
        <Confirm
          title={t("delete.title", { name })}
          action={t("delete")}
          danger
          onClose={() => setDeletes(false)}
          onConfirm={async () => {
            await ask("DELETE", path);
            changed("/sources");
            go("/people/sources");
            done(t("deleted", { name }));
          }}
        >
          <p>{t("sources.delete")}</p>
        </Confirm>
      )}
    </Page>
  );
}

function fields(): FieldSpec[] {
  const text = (name: string, label: string, hint?: string): FieldSpec => ({ name, label, kind: "text", hint });
  return [
    { name: "urls", label: t("sources.urls"), kind: "list", hint: t("sources.urls-hint") },
    { name: "start_tls", label: t("sources.start-tls"), kind: "toggle" },
    { name: "ca", label: t("sources.ca"), kind: "area", hint: t("sources.ca-hint") },
    text("bind_dn", t("sources.bind-dn")),
    { name: "password", label: t("sources.password"), kind: "password", hint: t("sources.password-hint"), autocomplete: "off" },
    text("base", t("sources.base")),
    text("user_filter", t("sources.user-filter")),
    text("group_base", t("sources.group-base")),
    text("group_filter", t("sources.group-filter")),
    ...["id", "login", "address", "aliases", "display_name", "unit", "suspended", "group_name", "members"].map((meaning) =>
      text(`mapping.${meaning}`, t("sources.attribute", { meaning: known("source-meaning", meaning) })),
    ),
    { name: "logins", label: t("sources.logins"), kind: "toggle" },
    { name: "outage_minutes", label: t("sources.outage"), kind: "number" },
    { name: "adopt", label: t("sources.adopt"), kind: "toggle", hint: t("sources.adopt-hint") },
    { name: "every_minutes", label: t("sources.every"), kind: "number" },
    { name: "full_every_hours", label: t("sources.full-every"), kind: "number" },
    { name: "removals_percent_max", label: t("sources.removals"), kind: "number", hint: t("sources.removals-hint") },
    { name: "enabled", label: t("sources.enabled"), kind: "toggle" },
  ];
}

/** Shows what a run would do, and does it. */
function Runner({ name }: { name: string }) {
  const [plan, setPlan] = useState<SourcePlan | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asks, setAsks] = useState(false);
  const path = `/sources/${part(name)}/runs`;
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const look = () =>
    attempt(async () => {
      const { data } = await ask<SourcePlan>("POST", `${path}?dry_run=true`, { body: { full: true } });
      setPlan(data);
    });
  const run = async (allow: boolean): Promise<void> => {
    const { data } = await ask<SourceRun>("POST", path, { body: { full: true, allow_removals: allow } });
    setPlan(null);
    changed("/sources", "/source-runs", "/users", "/groups");
    done(t("sources.ran", { outcome: known("run-outcome", data.outcome) }));
  };
  return (
    <Section
      title={t("sources.compare")}
      lead={t("sources.compare-lead")}
      actions={
        <>
          <Button onPress={look}>{t("sources.dry-run")}</Button>
          <Button kind="primary" onPress={() => attempt(() => run(false))}>
            {t("sources.run")}
          </Button>
        </>
      }
    >
      {problem && <ProblemBox problem={problem} />}
      {plan && <Plan plan={plan} />}
      {plan?.guard && (
        <p class="actions">
          <Button kind="danger" onPress={() => setAsks(true)}>
            {t("sources.allow")}
          </Button>
        </p>
      )}
      {asks && (
        <Confirm
          title={t("sources.allow")}
          action={t("sources.run")}
          danger
          name={name}
          onClose={() => setAsks(false)}
          onConfirm={async () => {
            await run(true);
            setAsks(false);
          }}
        >
          <p>{plan?.guard}</p>
        </Confirm>
      )}
    </Section>
  );
}

function Plan({ plan }: { plan: SourcePlan }) {
  return (
    <>
      <p role="status">{t("sources.found", { found: plan.found, unchanged: plan.unchanged })}</p>
      {plan.guard && <p class="lead">{plan.guard}</p>}
      <Steps steps={plan.steps} title={t("sources.steps")} />
      {plan.held.length > 0 && <Steps steps={plan.held} title={t("sources.held")} />}
      {plan.problems.length > 0 && (
        <>
          <h3>{t("sources.left-out")}</h3>
          <ul>
            {plan.problems.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

function Steps({ steps, title }: { steps: SourceStep[]; title: string }) {
  const [all, setAll] = useState(false);
  const shown = all ? steps : steps.slice(0, SHOWN_MAX);
  return (
    <>
      <Table
        caption={title}
        rows={shown}
        keyOf={(step) => `${step.action} ${step.kind} ${step.address}`}
        empty={t("sources.nothing")}
        columns={[
          { title, cell: (step) => <Badge tone={step.action === "suspend" ? "attention" : "info"}>{known("source-action", step.action)}</Badge> },
          { title: t("sources.who"), cell: (step) => step.address },
          {
            title: t("sources.changes"),
            cell: (step) => (
              <>
                {step.fields.map((field) => (
                  <p class="change" key={`${field.name} ${field.before} ${field.after}`}>
                    {field.name}: {field.before && <del>{field.before}</del>} {field.after && <ins>{field.after}</ins>}
                  </p>
                ))}
                {step.reason}
              </>
            ),
          },
        ]}
      />
      {steps.length > shown.length && <Button onPress={() => setAll(true)}>{t("more")}</Button>}
    </>
  );
}

/** The last runs, of one source or of all. */
export function Runs({ source }: { source?: string }) {
  const runs = usePages<SourceRun>(`/source-runs?limit=20${source ? `&source=${part(source)}` : ""}`);
  if (!source && runs.items.length === 0) return null;
  return (
    <Section title={t("sources.runs")}>
      {runs.problem && <ProblemBox problem={runs.problem} onRetry={runs.reload} />}
      <Table
        caption={t("sources.runs")}
        rows={runs.items}
        keyOf={(run) => String(run.number)}
        empty={runs.loading ? t("loading") : t("sources.no-runs")}
        columns={[
          { title: t("job.began"), cell: (run) => <Link to={`/jobs/sources/${run.number}`}>{moment(run.started_at)}</Link> },
          { title: t("sources.name"), cell: (run) => run.source },
          { title: t("state"), cell: (run) => <Outcome run={run} /> },
          { title: t("sources.done"), numeric: true, cell: (run) => String(run.done) },
          { title: t("sources.failed"), numeric: true, cell: (run) => String(run.failed) },
          { title: t("sources.held"), numeric: true, cell: (run) => String(run.held) },
          { title: t("by"), cell: (run) => run.by || t("sources.schedule") },
        ]}
      />
      <More more={runs.more} loading={runs.loading} />
    </Section>
  );
}

/** One run, with its log. */
export function RunPage({ run }: { run: string }) {
  const found = useLive<SourceRun>(`/source-runs/${part(run)}`);
  return (
    <Page title={t("sources.run-title", { run })} up={{ to: "/jobs", title: t("nav.jobs") }}>
      <Loaded read={found}>
        {(data) => (
          <Section title={data.source}>
            <Facts
              items={[
                [t("state"), <Outcome run={data} />],
                [t("job.began"), moment(data.started_at)],
                [t("job.ended"), moment(data.ended_at)],
                [t("by"), data.by || t("sources.schedule")],
              ]}
            />
            <pre tabIndex={0}>{data.log}</pre>
          </Section>
        )}
      </Loaded>
    </Page>
  );
}

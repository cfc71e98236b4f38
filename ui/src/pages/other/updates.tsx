// Updates: which version is wanted, what would change, and how far the servers are on their way to it.

import { useState } from "preact/hooks";
import { ask, asProblem, type Problem } from "../../base/api.ts";
import { bytes, duration, known, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Page as Items, Status, Update, UpdateAction, UpdateEvent, UpdatePlan, UpdateRun } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { Badge, Facts, Loaded, Page, Progress, Section, type Tone } from "../../widgets/parts.tsx";
import { Form } from "../../widgets/once.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { Table } from "../../widgets/table.tsx";

/** How often it is looked while something goes on, in milliseconds. */
const LOOK_MS = 1000;

const TONES: Record<Update["phase"], Tone> = {
  idle: "plain", prepared: "info", rolling: "info", paused: "attention", stopped: "bad", rolled: "good", "rolled-back": "attention", finished: "good",
};

/** What can't be taken back, or touches what runs, is asked for twice. */
const ASKED: UpdateAction[] = ["apply", "rollback", "finish"];

function goesOn(update: Update | null): boolean {
  if (!update) return false;
  const works = [update.check, update.download].some((run) => run !== null && !run.is_over);
  return update.phase === "rolling" || works;
}

export function UpdatesPage() {
  const first = useLive<Update>("/updates");
  // While the main node itself changes its version nobody answers: what was there stays, and it is asked again.
  const update = useLive<Update>("/updates", goesOn(first.data) ? LOOK_MS : undefined);
  return (
    <Page title={t("nav.updates")} lead={t("updates.lead")}>
      <Loaded read={update}>
        {(data) => (
          <>
            <Now update={data} />
            {data.plan && <Plan plan={data.plan} />}
            {data.check && <Work title={t("updates.check")} run={data.check} />}
            {data.download && <Work title={t("updates.download")} run={data.download} />}
            <Wanted update={data} />
          </>
        )}
      </Loaded>
      <Versions />
      <History />
    </Page>
  );
}

/** Where it is, and what can be done now. What goes wrong is said here, and stays until something else is done. */
function Now({ update }: { update: Update }) {
  const [asked, setAsked] = useState<UpdateAction | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const act = async (action: UpdateAction): Promise<void> => {
    const body = action === "apply" ? { fingerprint: update.plan?.fingerprint } : {};
    await ask("POST", `/updates/${action}`, { body });
    setProblem(null);
    changed("/updates", "/status");
  };
  const press = (action: UpdateAction) => async () => {
    if (ASKED.includes(action)) return setAsked(action);
    try {
      await act(action);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <Section
      title={t("updates.now")}
      actions={update.actions.map((action, at) => (
        <Button key={action} kind={action === "rollback" ? "danger" : at === 0 ? "primary" : undefined} onPress={press(action)}>
          {known("update-action", action)}
        </Button>
      ))}
    >
      {problem && <ProblemBox problem={problem} />}
      <p aria-live="polite">
        <Badge tone={TONES[update.phase]}>{known("update-phase", update.phase)}</Badge>{" "}
        {update.direction === "back" && update.phase === "rolling" && t("updates.back")} {update.reason}
      </p>
      <Facts
        items={[
          [t("updates.policy"), update.policy],
          [t("updates.repository"), update.repository ?? t("updates.by-hand")],
          [t("by"), update.by || "–"],
          [t("updates.changed"), moment(update.changed_at)],
        ]}
      />
      {asked && (
        <Confirm
          title={known("update-action", asked)}
          action={known("update-action", asked)}
          danger={asked !== "apply"}
          onConfirm={() => act(asked)}
          onClose={() => setAsked(null)}
        >
          <p>{known("update-asked", asked)}</p>
        </Confirm>
      )}
    </Section>
  );
}

function Plan({ plan }: { plan: UpdatePlan }) {
  return (
    <Section title={t("updates.plan", { number: plan.number, version: plan.target })}>
      <Table
        caption={t("updates.plan", { number: plan.number, version: plan.target })}
        rows={plan.steps}
        keyOf={(step) => step.server}
        empty={t("servers.none")}
        columns={[
          { title: t("server"), cell: (step) => `${step.server} (${step.roles})` },
          { title: t("updates.from"), cell: (step) => step.from },
          { title: t("updates.to"), cell: (step) => step.to },
          { title: t("state"), cell: (step) => known("update-step", step.state) },
        ]}
      />
      {[...plan.blocked, ...plan.notes].map((note) => (
        <p key={note}>{note}</p>
      ))}
      {plan.release_notes.length > 0 && (
        <>
          <h3>{t("updates.notes")}</h3>
          <ul>
            {plan.release_notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </>
      )}
      <Facts
        items={[
          [t("updates.fetches"), bytes(plan.download_bytes)],
          [t("updates.space"), bytes(plan.space_bytes)],
          [t("updates.takes"), duration(Math.ceil(plan.expected_ms / 1000))],
          [t("updates.fingerprint"), <code key="fingerprint">{plan.fingerprint.slice(0, 16)}</code>],
        ]}
      />
    </Section>
  );
}

/** A check or a download: how far each server is, and what was found. */
function Work({ title, run }: { title: string; run: UpdateRun }) {
  return (
    <Section title={title}>
      <Table
        caption={title}
        rows={run.servers}
        keyOf={(work) => work.server}
        empty={t("servers.none")}
        columns={[
          { title: t("server"), cell: (work) => work.server },
          { title: t("state"), cell: (work) => known("update-work", work.state) },
          {
            title: t("job.progress"),
            cell: (work) => <Progress part={work.state === "done" ? 1 : work.total === 0 ? 0 : work.done / work.total} label={work.server} />,
          },
        ]}
      />
      {run.is_over && run.is_well && <p>{t("updates.well")}</p>}
      {run.findings.map((finding) => (
        <p key={`${finding.server} ${finding.says}`}>
          <Badge tone={finding.is_blocking ? "bad" : "attention"}>{t(finding.is_blocking ? "updates.blocks" : "updates.note")}</Badge>{" "}
          {finding.server ? `${finding.server}: ` : ""}
          {finding.says} <span class="soft">{finding.remedy}</span>
        </p>
      ))}
    </Section>
  );
}

/** Which version is wanted, and from where. */
function Wanted({ update }: { update: Update }) {
  const [kind, version] = update.policy.split(" ");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [saved, setSaved] = useState(false);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string): string => String(form.get(name) ?? "").trim();
    const policy = text("policy") === "pinned" ? `pinned ${text("version")}` : text("policy");
    const key = text("key");
    const body: Record<string, unknown> = { policy };
    if (text("url") === "") body["no_repository"] = true;
    else if (text("url") !== update.repository || key !== "") body["repository"] = { url: text("url"), ...(key === "" ? {} : { key: `${key}\n` }) };
    try {
      await ask("PATCH", "/updates", { body });
      setProblem(null);
      setSaved(true);
      changed("/updates");
    } catch (error) {
      setSaved(false);
      setProblem(asProblem(error));
    }
  };
  return (
    <Section title={t("updates.wanted")} lead={t("updates.wanted-lead")}>
      {problem && <ProblemBox problem={problem} />}
      <Form onSubmit={save} onInput={() => setSaved(false)}>
        <p class="field">
          <label for="update-policy">{t("updates.policy")}</label>
          <select id="update-policy" name="policy" defaultValue={kind}>
            {["current", "open", "pinned"].map((name) => (
              <option key={name} value={name} selected={name === kind}>
                {known("update-policy", name)}
              </option>
            ))}
          </select>
        </p>
        <p class="field">
          <label for="update-version">{t("updates.pinned")}</label>
          <input id="update-version" name="version" defaultValue={version ?? ""} placeholder="0.2.0" autocomplete="off" />
        </p>
        <p class="field">
          <label for="update-url">{t("updates.repository")}</label>
          <input id="update-url" name="url" defaultValue={update.repository ?? ""} placeholder="https://" autocomplete="off" spellcheck={false} />
        </p>
        <p class="field">
          <label for="update-key">{t("updates.key")}</label>
          <textarea id="update-key" name="key" class="script" rows={4} placeholder="-----BEGIN PGP PUBLIC KEY BLOCK-----" spellcheck={false} />
        </p>
        <p>
          <Button type="submit">{t("save")}</Button> <span aria-live="polite">{saved ? t("updates.saved") : ""}</span>
        </p>
      </Form>
    </Section>
  );
}

function Versions() {
  const status = useLive<Status>("/status");
  return (
    <Section title={t("updates.versions")}>
      <Loaded read={status}>
        {({ node, servers }) => (
          <Table
            caption={t("updates.versions")}
            rows={servers}
            keyOf={(server) => server.id}
            empty={t("servers.none")}
            columns={[
              { title: t("server"), cell: (server) => server.name },
              {
                title: t("server.version"),
                cell: (server) => (
                  <>
                    {server.version ?? "–"}{" "}
                    {server.version !== null && server.version !== node.version && <Badge tone="attention">{t("updates.differs")}</Badge>}
                  </>
                ),
              },
            ]}
          />
        )}
      </Loaded>
    </Section>
  );
}

function History() {
  const history = useLive<Items<UpdateEvent>>("/updates/history");
  return (
    <Section title={t("updates.history")}>
      <Loaded read={history}>
        {({ items }) => (
          <Table
            caption={t("updates.history")}
            rows={items}
            keyOf={(event) => String(event.number)}
            empty={t("updates.none")}
            columns={[
              { title: t("audit.when"), cell: (event) => moment(event.at) },
              { title: t("updates.plan-number"), cell: (event) => (event.plan === 0 ? "–" : event.plan) },
              { title: t("audit.what"), cell: (event) => known("update-event", event.what) },
              { title: t("updates.more"), cell: (event) => event.says || "–" },
              { title: t("by"), cell: (event) => event.by || "–" },
            ]}
          />
        )}
      </Loaded>
    </Section>
  );
}

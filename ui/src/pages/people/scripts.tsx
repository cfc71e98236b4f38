// Vacation and filters: the account's Sieve scripts (RFC 5228), one of which runs.

import { useState } from "preact/hooks";
import { type Absence, absenceOf, VACATION } from "../../base/absence.ts";
import { asProblem, ask, part, type Problem } from "../../base/api.ts";
import { bytes, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import { useUnsaved } from "../../base/unsaved.ts";
import type { Page, Script } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm, Dialog } from "../../widgets/dialog.tsx";
import { Field } from "../../widgets/field.tsx";
import { ClashDialog } from "../../widgets/form.tsx";
import { useOnce } from "../../widgets/once.tsx";
import { Badge, Loaded, Section } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { VacationDialog } from "./vacation.tsx";

export function Scripts({ account }: { account: number }) {
  const path = `/accounts/${part(account)}/sieve`;
  const scripts = useLive<Page<Script>>(path);
  const [edited, setEdited] = useState<{ name: string; text: string; isNew: boolean } | null>(null);
  const [absence, setAbsence] = useState<{ absence: Absence | null; former: string | null; others: string | null } | null>(null);
  const activate = (name: string | null, before: string | null): Promise<boolean> =>
    attempt(async () => {
      const set = async (active: string | null): Promise<void> => {
        await ask("PATCH", path, { body: { active } });
        changed(path);
      };
      await set(name);
      done(name === null ? t("sieve.stopped") : t("sieve.runs-now", { name }), () => set(before));
    });
  const open = (name: string): Promise<boolean> =>
    attempt(async () => {
      const { data } = await ask<Script>("GET", `${path}/${part(name)}`);
      const found = name === VACATION ? absenceOf(data.text ?? "") : null;
      // The rules that run now go on, not those that ran when it was written.
      const others = active !== null && active !== VACATION ? active : (found?.others ?? null);
      if (found) setAbsence({ absence: found.absence, former: data.text ?? "", others });
      else setEdited({ name, text: data.text ?? "", isNew: false });
    });
  /** The absence that is there, or a new one: the rules that run now go on. */
  const away = (): unknown => {
    if (scripts.data?.items.some((script) => script.name === VACATION)) return open(VACATION);
    return setAbsence({ absence: null, former: null, others: active });
  };
  const active = scripts.data?.items.find((script) => script.active)?.name ?? null;
  return (
    <Section
      title={t("sieve.title")}
      lead={t("sieve.lead")}
      actions={
        <>
          <Button disabled={!scripts.data} onPress={away}>{t("sieve.vacation")}</Button>
          <Button icon="plus" onPress={() => setEdited({ name: "", text: "", isNew: true })}>
            {t("sieve.new")}
          </Button>
        </>
      }
    >
      <Loaded read={scripts}>
        {({ items }) => (
          <>
            {items.length === 0 && <p class="empty">{t("sieve.none")}</p>}
            {items.map((script) => (
              <ScriptLine
                key={script.name}
                script={script}
                path={path}
                onOpen={() => open(script.name)}
                onActivate={() => activate(script.active ? null : script.name, active)}
              />
            ))}
          </>
        )}
      </Loaded>
      {edited && (
        <Editor path={path} {...edited} taken={scripts.data?.items.map((script) => script.name) ?? []} onClose={() => setEdited(null)} />
      )}
      {absence && <VacationDialog path={path} {...absence} before={active} onClose={() => setAbsence(null)} />}
    </Section>
  );
}

interface LineProps {
  script: Script;
  path: string;
  onOpen: () => unknown;
  onActivate: () => unknown;
}

function ScriptLine({ script, path, onOpen, onActivate }: LineProps) {
  const [deletes, setDeletes] = useState(false);
  return (
    <div class="line">
      <div>
        <strong>{script.name}</strong> {script.active && <Badge tone="good">{t("sieve.active")}</Badge>}
        <p class="soft">
          {bytes(script.size_bytes)} · {moment(script.written_at)}
        </p>
        {script.trouble && <p class="remedy">{script.trouble}</p>}
      </div>
      <div class="actions">
        <Button onPress={onOpen}>{t("edit")}</Button>
        <Button onPress={onActivate}>{t(script.active ? "sieve.stop" : "sieve.run")}</Button>
        {!script.active && (
          <Button kind="quiet" onPress={() => setDeletes(true)}>
            {t("delete")}
          </Button>
        )}
      </div>
      {deletes && (
        <Confirm
          title={t("delete.title", { name: script.name })}
          action={t("delete")}
          danger
          onClose={() => setDeletes(false)}
          onConfirm={async () => {
            const { data } = await ask<Script>("GET", `${path}/${part(script.name)}`);
            await ask("DELETE", `${path}/${part(script.name)}`);
            changed(path);
            done(t("deleted", { name: script.name }), async () => {
              await ask("PUT", `${path}/${part(script.name)}`, { body: { text: data.text ?? "" } });
              changed(path);
            });
          }}
        >
          <p>{t("sieve.delete")}</p>
        </Confirm>
      )}
    </div>
  );
}

interface EditorProps {
  path: string;
  name: string;
  text: string;
  isNew: boolean;
  /** Names that scripts have. */
  taken: string[];
  onClose: () => void;
}

function Editor({ path, name, text, isNew, taken, onClose }: EditorProps) {
  const [title, setTitle] = useState(name);
  const [script, setScript] = useState(text);
  /** What another wrote since the script was opened. */
  const [theirs, setTheirs] = useState<string | null>(null);
  const [seen, setSeen] = useState(text);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, once] = useOnce();
  useUnsaved(script !== text || (isNew && title !== ""));
  const at = `${path}/${part(title.trim())}`;
  const write = async (wanted: string): Promise<void> => {
    await ask("PUT", at, { body: { text: wanted } });
    changed(path);
  };
  const save = async (): Promise<void> => {
    if (isNew && taken.includes(title.trim())) {
      setProblem({ status: 409, code: "taken", title: "", detail: t("sieve.taken", { name: title.trim() }), remedy: "" });
      return;
    }
    const now = isNew ? null : ((await ask<Script>("GET", at)).data.text ?? "");
    if (now !== null && now !== seen && now !== script) return setTheirs(now);
    await write(script);
    done(t("saved", { name: title }), now === null ? undefined : () => write(now));
    onClose();
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    setProblem(null);
    void once(() => save().catch((error: unknown) => setProblem(asProblem(error))));
  };
  return (
    <Dialog title={isNew ? t("sieve.new") : name} wide onClose={onClose}>
      <form onSubmit={submit}>
        {isNew && (
          <Field
            spec={{ name: "name", label: t("sieve.name"), kind: "text", required: true }}
            value={title}
            onChange={(value) => setTitle(String(value))}
          />
        )}
        <Field
          spec={{ name: "text", label: t("sieve.script"), kind: "script", hint: t("sieve.checked") }}
          value={script}
          onChange={(value) => setScript(String(value))}
        />
        {problem && <ProblemBox problem={problem} />}
        <footer class="actions">
          <Button onPress={onClose}>{t("cancel")}</Button>
          <Button type="submit" kind="primary" busy={busy}>
            {t("save")}
          </Button>
        </footer>
      </form>
      {theirs !== null && (
        <ClashDialog
          fields={[{ name: "text", label: t("sieve.script") }]}
          clashes={[{ name: "text", before: seen, theirs, ours: script }]}
          onOurs={() => {
            setSeen(theirs);
            setTheirs(null);
          }}
          onTheirs={() => {
            setScript(theirs);
            setSeen(theirs);
            setTheirs(null);
          }}
          onClose={() => setTheirs(null)}
        />
      )}
    </Dialog>
  );
}

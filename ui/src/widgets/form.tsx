// Forms for resources that exist: what was changed is sent with the ETag of what was seen. When somebody else was
// faster, their values are shown beside ours and the user decides; what was saved can be taken back.

import { useState } from "preact/hooks";
import { asProblem, ask, type Problem } from "../base/api.ts";
import { type Clash, clashes, differing, nested, same, undoing, valueAt, type Values } from "../base/draft.ts";
import { t } from "../base/i18n.ts";
import { changed } from "../base/live.ts";
import { useUnsaved } from "../base/unsaved.ts";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { Field, type FieldSpec } from "./field.tsx";
import { useOnce } from "./once.tsx";
import { ProblemBox } from "./problem.tsx";
import { done } from "./toast.tsx";

interface Props {
  /** Of the resource, for PATCH and GET. */
  path: string;
  /** What it is called in messages. */
  name: string;
  data: unknown;
  etag: string | null;
  fields: FieldSpec[];
  /** What else is read again afterwards. */
  also?: string[];
}

export function EditForm({ path, name, data, etag, fields, also = [] }: Props) {
  const [draft, setDraft] = useState<Values>({});
  /** What was seen when the first letter was typed. */
  const [seen, setSeen] = useState<{ data: unknown; etag: string | null } | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [clash, setClash] = useState<{ clashes: Clash[]; etag: string | null } | null>(null);
  const [busy, once] = useOnce();
  const body = differing(draft, data);
  const count = Object.keys(body).length;
  useUnsaved(count > 0);

  const reset = (): void => {
    setDraft({});
    setSeen(null);
    setProblem(null);
    setClash(null);
  };
  const write = async (tag: string | null): Promise<void> => {
    setProblem(null);
    const before = seen?.data ?? data;
    try {
      const answer = await ask("PATCH", path, { body: nested(body), ifMatch: tag });
      reset();
      changed(path, ...also);
      const undo = nested(undoing(body, before));
      done(t("saved", { name }), async () => {
        await ask("PATCH", path, { body: undo, ifMatch: answer.etag });
        changed(path, ...also);
      });
    } catch (error) {
      const found = asProblem(error);
      if (found.status === 412) await meet(before, found);
      else setProblem(found);
    }
  };
  /** Somebody was faster: where they changed something else, both changes hold. */
  const meet = async (before: unknown, found: Problem): Promise<void> => {
    const now = await ask("GET", path).catch(() => null);
    if (now === null) return setProblem(found);
    const meeting = clashes(body, before, now.data);
    if (meeting.length === 0) return write(now.etag);
    setClash({ clashes: meeting, etag: now.etag });
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    if (count > 0) void once(() => write(seen?.etag ?? etag));
  };
  return (
    <form class="edit" onSubmit={submit}>
      {fields.map((spec) => (
        <Field
          key={spec.name}
          spec={spec}
          value={spec.name in draft ? draft[spec.name] : valueAt(data, spec.name)}
          onChange={(value) => {
            if (!seen) setSeen({ data, etag });
            setDraft((old) => ({ ...old, [spec.name]: value }));
          }}
        />
      ))}
      {problem && <ProblemBox problem={problem} />}
      {count > 0 && (
        <footer class="actions save">
          <span role="status">{t("unsaved")}</span>
          <Button onPress={reset}>{t("discard")}</Button>
          <Button type="submit" kind="primary" busy={busy}>
            {t("save")}
          </Button>
        </footer>
      )}
      {clash && (
        <ClashDialog
          fields={fields}
          clashes={clash.clashes}
          onOurs={() => {
            setClash(null);
            void once(() => write(clash.etag));
          }}
          onTheirs={() => {
            reset();
            changed(path, ...also);
          }}
          onClose={() => setClash(null)}
        />
      )}
    </form>
  );
}

interface ClashProps {
  fields: Pick<FieldSpec, "name" | "label">[];
  clashes: Clash[];
  onOurs: () => void;
  onTheirs: () => void;
  onClose: () => void;
}

/** What another wrote meanwhile beside ours, and what becomes of it. */
export function ClashDialog({ fields, clashes, onOurs, onTheirs, onClose }: ClashProps) {
  const label = (name: string): string => fields.find((spec) => spec.name === name)?.label ?? name;
  return (
    <Dialog title={t("conflict.title")} wide onClose={onClose}>
      <p>{t("conflict.lead")}</p>
      <div class="table">
        <table>
          <thead>
            <tr>
              <th scope="col">{t("conflict.field")}</th>
              <th scope="col">{t("conflict.before")}</th>
              <th scope="col">{t("conflict.theirs")}</th>
              <th scope="col">{t("conflict.ours")}</th>
            </tr>
          </thead>
          <tbody>
            {clashes.map((clash) => (
              <tr key={clash.name}>
                <th scope="row">{label(clash.name)}</th>
                <td data-title={t("conflict.before")}>{inWords(clash.before)}</td>
                <td data-title={t("conflict.theirs")}>{inWords(clash.theirs)}</td>
                <td data-title={t("conflict.ours")}>{inWords(clash.ours)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <footer class="actions">
        <Button onPress={onClose}>{t("cancel")}</Button>
        <Button onPress={onTheirs}>{t("conflict.take-theirs")}</Button>
        <Button kind="primary" onPress={onOurs}>
          {t("conflict.write-ours")}
        </Button>
      </footer>
    </Dialog>
  );
}

function inWords(value: unknown): string {
  if (value === null || value === undefined || value === "") return "–";
  if (Array.isArray(value)) return value.length === 0 ? "–" : value.join(", ");
  if (typeof value === "boolean") return value ? t("yes") : t("no");
  return String(value);
}

interface NewProps {
  title: string;
  action: string;
  fields: FieldSpec[];
  initial?: Values;
  onCreate: (body: Values) => Promise<unknown>;
  onClose: () => void;
}

/** A dialog for something new; fields that were left empty are not sent. */
export function NewDialog({ title, action, fields, initial = {}, onCreate, onClose }: NewProps) {
  const [values, setValues] = useState<Values>(initial);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, once] = useOnce();
  useUnsaved(Object.keys(values).some((name) => !same(values[name] || null, initial[name] || null)));
  const create = async (): Promise<void> => {
    setProblem(null);
    const given = Object.entries(values).filter(([, value]) => value !== null && value !== "" && value !== undefined);
    try {
      await onCreate(nested(Object.fromEntries(given)));
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    void once(create);
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        {fields.map((spec) => (
          <Field
            key={spec.name}
            spec={spec}
            value={values[spec.name]}
            onChange={(value) => setValues((old) => ({ ...old, [spec.name]: value }))}
          />
        ))}
        {problem && <ProblemBox problem={problem} />}
        <footer class="actions">
          <Button onPress={onClose}>{t("cancel")}</Button>
          <Button type="submit" kind="primary" busy={busy}>
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

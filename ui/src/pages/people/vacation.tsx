// An absence: dates and a text, kept as a Sieve script (RFC 5230) that this form reads again.

import { useState } from "preact/hooks";
import { type Absence, scriptOf, VACATION } from "../../base/absence.ts";
import { ask, part } from "../../base/api.ts";
import { t } from "../../base/i18n.ts";
import { changed } from "../../base/live.ts";
import type { Values } from "../../base/draft.ts";
import { NewDialog } from "../../widgets/form.tsx";
import { done } from "../../widgets/toast.tsx";

interface Props {
  /** Of the scripts, in the API. */
  path: string;
  /** As it was; null for a new one. */
  absence: Absence | null;
  /** The script as it was. */
  former: string | null;
  /** The script that runs now; its rules go on. */
  others: string | null;
  /** What runs when this is undone. */
  before: string | null;
  onClose: () => void;
}

export function VacationDialog({ path, absence, former, others, before, onClose }: Props) {
  const [initial] = useState<Values>(() => ({ subject: t("sieve.vacation-subject"), text: t("sieve.vacation-text"), ...absence }));
  const save = async (body: Values): Promise<void> => {
    const text = (name: keyof Absence): string => String(body[name] ?? "");
    const next: Absence = { from: text("from"), until: text("until"), subject: text("subject"), text: text("text") };
    const put = (text: string): Promise<unknown> => ask("PUT", `${path}/${part(VACATION)}`, { body: { text } });
    await put(scriptOf(next, others));
    const activate = async (active: string | null): Promise<void> => {
      await ask("PATCH", path, { body: { active } });
      changed(path);
    };
    await activate(VACATION);
    done(t("absence.saved"), async () => {
      if (former !== null) await put(former);
      await activate(before);
    });
    onClose();
  };
  return (
    <NewDialog
      title={t("absence.title")}
      action={t("save")}
      initial={initial}
      onCreate={save}
      onClose={onClose}
      fields={[
        { name: "from", label: t("absence.from"), kind: "date", hint: t("absence.from-hint") },
        { name: "until", label: t("absence.until"), kind: "date", hint: t("absence.until-hint") },
        { name: "subject", label: t("absence.subject"), kind: "text", required: true },
        { name: "text", label: t("absence.text"), kind: "area", required: true, hint: t("absence.text-hint") },
      ]}
    />
  );
}

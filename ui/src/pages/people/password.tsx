// Setting a password, or taking it away.

import { useState } from "preact/hooks";
import { asProblem, ask, type Problem } from "../../base/api.ts";
import { t } from "../../base/i18n.ts";
import { changed } from "../../base/live.ts";
import { useUnsaved } from "../../base/unsaved.ts";
import type { Entry } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { Field } from "../../widgets/field.tsx";
import { Section } from "../../widgets/parts.tsx";
import { useOnce } from "../../widgets/once.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { done } from "../../widgets/toast.tsx";
import { nameOf } from "./paths.ts";

/** Letters of generated passwords: none that are mistaken for another. */
const LETTERS = "abcdefghijkmnpqrstuvwxyz23456789";
const GROUPS = 4;
const GROUP_LETTERS = 5;

/** About 100 bits, in groups that can be read over the telephone. */
function generated(): string {
  const random = crypto.getRandomValues(new Uint8Array(GROUPS * GROUP_LETTERS));
  // 32 letters: the remainder of a byte is as likely as any other.
  const letters = Array.from(random, (byte) => LETTERS[byte % LETTERS.length] ?? "a").join("");
  return letters.match(new RegExp(`.{${GROUP_LETTERS}}`, "g"))?.join("-") ?? letters;
}

interface Props {
  entry: Entry;
  path: string;
  etag: string | null;
}

export function Password({ entry, path, etag }: Props) {
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  const [takes, setTakes] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const write = async (value: string | null): Promise<void> => {
    await ask("PATCH", path, { body: { password: value }, ifMatch: etag });
    changed(path);
    done(t(value === null ? "user.password-taken" : "user.password-set", { name: nameOf(entry) }));
    setPassword("");
  };
  const [busy, once] = useOnce();
  useUnsaved(password !== "");
  const submit = (event: Event): void => {
    event.preventDefault();
    setProblem(null);
    if (password !== "") void once(() => write(password).catch((error: unknown) => setProblem(asProblem(error))));
  };
  return (
    <Section title={t("user.password")} lead={t(entry.has_password ? "user.has-password" : "user.no-password")}>
      <form class="edit" onSubmit={submit}>
        <Field
          spec={{ name: "password", label: t("user.new-password"), kind: shown ? "text" : "password", autocomplete: "new-password" }}
          value={password}
          onChange={(value) => setPassword(String(value ?? ""))}
        />
        {problem && <ProblemBox problem={problem} />}
        <footer class="actions">
          <Button
            onPress={() => {
              setPassword(generated());
              setShown(true);
            }}
          >
            {t("user.generate")}
          </Button>
          {entry.has_password && (
            <Button kind="quiet" onPress={() => setTakes(true)}>
              {t("user.take-password")}
            </Button>
          )}
          <Button type="submit" kind="primary" disabled={password === ""} busy={busy}>
            {t("user.set-password")}
          </Button>
        </footer>
      </form>
      {takes && (
        <Confirm
          title={t("user.take-password")}
          action={t("user.take-password")}
          danger
          onClose={() => setTakes(false)}
          onConfirm={() => write(null)}
        >
          <p>{t("user.take-password-lead", { name: nameOf(entry) })}</p>
        </Confirm>
      )}
    </Section>
  );
}

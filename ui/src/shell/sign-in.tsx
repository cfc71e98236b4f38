// The sign-in page. The server says the same of a wrong name and a wrong password.

import { useState } from "preact/hooks";
import { asProblem, type Problem } from "../base/api.ts";
import { t } from "../base/i18n.ts";
import { signIn } from "../base/session.ts";
import { Button } from "../widgets/button.tsx";
import { Field } from "../widgets/field.tsx";
import { ProblemBox } from "../widgets/problem.tsx";
import { LanguageSwitch, ThemeSwitch } from "./switches.tsx";

export function SignIn() {
  const [values, setValues] = useState({ login: "", password: "", code: "" });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [wantsCode, setWantsCode] = useState(false);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await signIn(values.login.trim(), values.password, values.code.replace(/\s/g, ""));
    } catch (error) {
      const found = asProblem(error);
      if (["second-factor-needed", "wrong-code"].includes(found.code)) setWantsCode(true);
      if (found.code !== "second-factor-needed") setProblem(found);
    } finally {
      setBusy(false);
    }
  };
  const set = (name: keyof typeof values) => (value: unknown) => setValues((old) => ({ ...old, [name]: String(value) }));
  return (
    <main class="sign-in">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <h1>{t("signin.title")}</h1>
        <p class="lead">{t("signin.lead")}</p>
        <Field
          spec={{ name: "login", label: t("signin.login"), kind: "text", autocomplete: "username", required: true }}
          value={values.login}
          onChange={set("login")}
        />
        <Field
          spec={{ name: "password", label: t("signin.password"), kind: "password", autocomplete: "current-password", required: true }}
          value={values.password}
          onChange={set("password")}
        />
        {wantsCode && (
          <Field
            spec={{ name: "code", label: t("signin.code"), hint: t("signin.code-hint"), kind: "text", autocomplete: "one-time-code" }}
            value={values.code}
            onChange={set("code")}
          />
        )}
        {problem && <ProblemBox problem={problem} />}
        <footer class="actions">
          {!wantsCode && (
            <Button kind="quiet" onPress={() => setWantsCode(true)}>
              {t("signin.with-code")}
            </Button>
          )}
          <Button type="submit" kind="primary" busy={busy}>
            {t("signin.action")}
          </Button>
        </footer>
      </form>
      <p class="switches">
        <LanguageSwitch />
        <ThemeSwitch />
      </p>
    </main>
  );
}

// The sign-in page. The server says the same of a wrong name and a wrong password.

import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../base/api.ts";
import { known, t } from "../base/i18n.ts";
import { changed } from "../base/live.ts";
import { hasPasskeys } from "../base/passkeys.ts";
import { session, signIn, signInByPasskey } from "../base/session.ts";
import { Button } from "../widgets/button.tsx";
import { Dialog } from "../widgets/dialog.tsx";
import { Field } from "../widgets/field.tsx";
import { Icon } from "../widgets/icon.tsx";
import { Form } from "../widgets/once.tsx";
import { ProblemBox } from "../widgets/problem.tsx";
import { LanguageSwitch, ThemeSwitch } from "./switches.tsx";

/** The page, before anybody is signed in. */
export function SignIn() {
  return (
    <main class="sign-in">
      <div class="card">
        <h1>{t("signin.title")}</h1>
        <p class="lead">{t("signin.lead")}</p>
        <SignInForm />
        <OpenId />
      </div>
      <p class="switches">
        <LanguageSwitch />
        <ThemeSwitch />
      </p>
    </main>
  );
}

/** The way by a provider of OpenID Connect, where there is one; and why it led nowhere. */
function OpenId() {
  const [offered, setOffered] = useState(false);
  const outcome = new URLSearchParams(location.search).get("openid");
  useEffect(() => {
    fetch("/admin/openid/offer", { credentials: "same-origin", cache: "no-store" })
      .then((response) => response.json() as Promise<{ offered?: boolean }>)
      .then((answer) => setOffered(answer.offered === true))
      .catch(() => setOffered(false));
  }, []);
  const to = encodeURIComponent(location.pathname);
  return (
    <>
      {outcome && (
        <div class="note bad" role="alert">
          <Icon name="warning" />
          <p>{known("openid-outcome", outcome, t("signin.openid-failed"))}</p>
        </div>
      )}
      {offered && (
        <p class="actions">
          <a class="button" href={`/admin/openid/start?to=${to}`}>
            {t("signin.openid")}
          </a>
        </p>
      )}
    </>
  );
}

/** Over the page, when a session ended meanwhile: what was typed there stays. */
export function SignInAgain({ login }: { login: string }) {
  const again = async (): Promise<void> => {
    // Somebody else's page begins anew.
    if (session.peek()?.login !== login) location.reload();
    else changed("/");
  };
  return (
    <Dialog title={t("signin.again")}>
      <p>{t("signin.again-lead")}</p>
      <SignInForm login={login} onDone={again} />
    </Dialog>
  );
}

function SignInForm({ login = "", onDone }: { login?: string; onDone?: () => Promise<void> }) {
  const [values, setValues] = useState({ login, password: "", code: "" });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [wantsCode, setWantsCode] = useState(false);
  const [busy, setBusy] = useState(false);
  const attempt = async (way: () => Promise<boolean>): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      if (await way()) await onDone?.();
    } catch (error) {
      const found = asProblem(error);
      if (["second-factor-needed", "wrong-code"].includes(found.code)) setWantsCode(true);
      if (found.code !== "second-factor-needed") setProblem(found);
    } finally {
      setBusy(false);
    }
  };
  const submit = (event: Event): Promise<void> => {
    event.preventDefault();
    return attempt(async () => {
      await signIn(values.login.trim(), values.password, values.code.replace(/\s/g, ""));
      return true;
    });
  };
  const set = (name: keyof typeof values) => (value: unknown) => setValues((old) => ({ ...old, [name]: String(value) }));
  return (
    <Form onSubmit={submit}>
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
        {hasPasskeys && (
          <Button kind="quiet" onPress={() => attempt(() => signInByPasskey(values.login.trim(), values.password))}>
            {t("signin.passkey")}
          </Button>
        )}
        {!wantsCode && (
          <Button kind="quiet" onPress={() => setWantsCode(true)}>
            {t("signin.with-code")}
          </Button>
        )}
        <Button type="submit" kind="primary" busy={busy}>
          {t("signin.action")}
        </Button>
      </footer>
    </Form>
  );
}

// One's own account as an administrator: the second factor, where one is signed in, tokens for programs.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { asProblem, ask, part, type Problem } from "../../base/api.ts";
import { ago, list, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import { session, whoAmI } from "../../base/session.ts";
import type { ApiToken, Page as Items } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm, Dialog } from "../../widgets/dialog.tsx";
import { Field } from "../../widgets/field.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Badge, Copyable, Facts, Loaded, Page, Section } from "../../widgets/parts.tsx";
import { Form } from "../../widgets/once.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { done } from "../../widgets/toast.tsx";
import { inWords } from "./administrators.tsx";
import { Passkeys } from "./passkeys.tsx";
import { Sessions } from "./sessions.tsx";
import { OwnSudo } from "./sudo.tsx";

const DAY_SECONDS = 86_400;

export function MePage() {
  const me = session.value;
  if (!me) return null;
  const rights = me.rights.map((one) => {
    const where = [one.domain ?? t("settings.installation"), one.unit].filter(Boolean).join(" · ");
    return `${where}: ${list(one.permissions.map(inWords))}`;
  });
  return (
    <Page title={me.name || me.login} lead={me.login}>
      <div class="columns">
        <div>
          <SecondFactor isSet={me.second_factor} />
          <Passkeys />
          <Section title={t("me.rights")}>
            <ul class="bare">
              {rights.map((line) => (
                <li key={line}>{line}</li>
              ))}
            </ul>
            <Facts items={[[t("me.until"), moment(me.expires)]]} />
          </Section>
        </div>
        <div>
          <Section title={t("me.sessions")}>
            <Sessions user={me.login} />
          </Section>
          <OwnSudo />
          <Tokens />
        </div>
      </div>
    </Page>
  );
}

interface NewFactor {
  key: string;
  uri: string;
  qr_path: string;
  qr_size: number;
}

function SecondFactor({ isSet }: { isSet: boolean }) {
  const [fresh, setFresh] = useState<NewFactor | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [removes, setRemoves] = useState(false);
  const begin = async (): Promise<void> => {
    setProblem(null);
    await ask<NewFactor>("POST", "/me/second-factor").then(
      ({ data }) => setFresh(data),
      (error: unknown) => setProblem(asProblem(error)),
    );
  };
  return (
    <Section
      title={t("factor.title")}
      lead={t("factor.lead")}
      actions={
        <>
          {isSet && (
            <Button kind="danger" onPress={() => setRemoves(true)}>
              {t("factor.remove")}
            </Button>
          )}
          {!isSet && (
            <Button kind="primary" onPress={begin}>
              {t("factor.begin")}
            </Button>
          )}
        </>
      }
    >
      <p>
        <Badge tone={isSet ? "good" : "attention"}>{t(isSet ? "factor.set" : "factor.not-set")}</Badge>
      </p>
      {problem && <ProblemBox problem={problem} />}
      {fresh && (
        <Setup
          fresh={fresh}
          onClose={() => setFresh(null)}
          onDone={(made) => {
            setFresh(null);
            setCodes(made);
            void whoAmI();
          }}
        />
      )}
      {codes && (
        <Dialog title={t("factor.codes")} onClose={() => setCodes(null)}>
          <p>{t("factor.codes-lead")}</p>
          <div class="command">
            <Copyable text={codes.join("\n")} label={t("factor.codes")} />
          </div>
        </Dialog>
      )}
      {removes && (
        <Removal
          onClose={() => setRemoves(false)}
          onDone={() => {
            setRemoves(false);
            void whoAmI();
          }}
        />
      )}
    </Section>
  );
}

interface CodeDialogProps {
  title: string;
  action: string;
  danger?: boolean;
  onClose: () => void;
  onCode: (code: string) => Promise<void>;
  children: ComponentChildren;
}

/** Asks for what the authenticator app shows. */
function CodeDialog({ title, action, danger, onClose, onCode, children }: CodeDialogProps) {
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setProblem(null);
    try {
      await onCode(code.replace(/\s/g, ""));
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <Form onSubmit={submit}>
        {children}
        <Field
          spec={{ name: "code", label: t("signin.code"), hint: t("signin.code-hint"), kind: "text", autocomplete: "one-time-code", required: true }}
          value={code}
          onChange={(value) => setCode(String(value))}
        />
        {problem && <ProblemBox problem={problem} />}
        <footer class="actions">
          <Button onPress={onClose}>{t("cancel")}</Button>
          <Button type="submit" kind={danger ? "danger" : "primary"}>
            {action}
          </Button>
        </footer>
      </Form>
    </Dialog>
  );
}

interface RemovalProps {
  onClose: () => void;
  onDone: () => void;
}

/** A session alone may have been stolen: the factor that goes is proved once more. */
function Removal({ onClose, onDone }: RemovalProps) {
  const remove = async (code: string): Promise<void> => {
    await ask("DELETE", "/me/second-factor", { body: { code } });
    onDone();
  };
  return (
    <CodeDialog title={t("factor.remove")} action={t("factor.remove")} danger onClose={onClose} onCode={remove}>
      <p>{t("factor.remove-lead")}</p>
    </CodeDialog>
  );
}

interface SetupProps {
  fresh: NewFactor;
  onClose: () => void;
  onDone: (codes: string[]) => void;
}

/** Nothing is kept until a code proves that the app has the key. */
function Setup({ fresh, onClose, onDone }: SetupProps) {
  const confirm = async (code: string): Promise<void> => {
    const body = { key: fresh.key, code };
    onDone((await ask<{ recovery_codes: string[] }>("PUT", "/me/second-factor", { body })).data.recovery_codes);
  };
  return (
    <CodeDialog title={t("factor.title")} action={t("factor.confirm")} onClose={onClose} onCode={confirm}>
      <p>{t("factor.enter")}</p>
      {fresh.qr_size > 0 && (
        <svg
          class="qr"
          role="img"
          aria-label={t("factor.qr")}
          width="220"
          height="220"
          viewBox={`0 0 ${fresh.qr_size} ${fresh.qr_size}`}
          shape-rendering="crispEdges"
        >
          <rect width="100%" height="100%" fill="#ffffff" />
          <path d={fresh.qr_path} fill="#000000" />
        </svg>
      )}
      <div class="command">
        <Copyable text={fresh.key} label={t("factor.key")} />
      </div>
      <p>
        <a href={fresh.uri}>{t("factor.open")}</a>
      </p>
    </CodeDialog>
  );
}

/** What programs prove themselves with. */
function Tokens() {
  const tokens = useLive<Items<ApiToken>>("/api-tokens");
  const [adds, setAdds] = useState(false);
  const [made, setMade] = useState<ApiToken | null>(null);
  return (
    <Section
      title={t("apitokens.title")}
      lead={t("apitokens.lead")}
      actions={
        <Button icon="plus" onPress={() => setAdds(true)}>
          {t("apitokens.new")}
        </Button>
      }
    >
      <Loaded read={tokens}>
        {({ items }) => (
          <>
            {items.length === 0 && <p class="empty">{t("apitokens.none")}</p>}
            {items.map((token) => (
              <TokenLine key={token.id} token={token} />
            ))}
          </>
        )}
      </Loaded>
      {adds && (
        <NewDialog
          title={t("apitokens.new")}
          action={t("create")}
          initial={{ days: 90 }}
          onClose={() => setAdds(false)}
          onCreate={async ({ days, ...body }) => {
            const lifetime_seconds = typeof days === "number" ? days * DAY_SECONDS : days;
            setMade((await ask<ApiToken>("POST", "/api-tokens", { body: { ...body, lifetime_seconds } })).data);
            changed("/api-tokens");
            setAdds(false);
          }}
          fields={[
            { name: "name", label: t("apitokens.name"), kind: "text", required: true },
            { name: "days", label: t("apitokens.days"), kind: "number" },
          ]}
        />
      )}
      {made && (
        <Dialog title={made.name} onClose={() => setMade(null)}>
          <p>{t("apitokens.once")}</p>
          <div class="command">
            <Copyable text={made.token ?? ""} label={t("apitokens.title")} />
          </div>
        </Dialog>
      )}
    </Section>
  );
}

function TokenLine({ token }: { token: ApiToken }) {
  const [drops, setDrops] = useState(false);
  return (
    <div class="line">
      <div>
        <strong>{token.name}</strong> <span class="soft">{[token.user, token.domain].filter(Boolean).join(" · ")}</span>
        <p class="soft" title={moment(token.expires_at)}>
          {t("apitokens.ends", { when: ago(token.expires_at) })}
        </p>
      </div>
      <Button onPress={() => setDrops(true)}>{t("tokens.revoke")}</Button>
      {drops && (
        <Confirm
          title={t("devices.revoke-title", { name: token.name })}
          action={t("tokens.revoke")}
          danger
          onClose={() => setDrops(false)}
          onConfirm={async () => {
            await ask("DELETE", `/api-tokens/${part(token.id)}`);
            changed("/api-tokens");
            done(t("devices.revoked", { name: token.name }));
          }}
        >
          <p>{t("devices.revoke-lead")}</p>
        </Confirm>
      )}
    </div>
  );
}

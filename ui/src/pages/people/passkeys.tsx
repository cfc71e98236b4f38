// One's own passkeys: those that there are, a new one, a name, away with one.

import { useState } from "preact/hooks";
import { asProblem, ask, part, type Problem } from "../../base/api.ts";
import { ago, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import { createPasskey, hasPasskeys } from "../../base/passkeys.ts";
import type { Entry, Page, Passkey } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm, Dialog } from "../../widgets/dialog.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Field } from "../../widgets/field.tsx";
import { Loaded, Section } from "../../widgets/parts.tsx";
import { Form } from "../../widgets/once.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { done } from "../../widgets/toast.tsx";

const PATH = "/me/passkeys";

export function Passkeys() {
  const passkeys = useLive<Page<Passkey>>(PATH);
  const [adds, setAdds] = useState(false);
  return (
    <Section
      title={t("passkeys.title")}
      lead={t("passkeys.lead")}
      actions={
        hasPasskeys && (
          <Button icon="plus" onPress={() => setAdds(true)}>
            {t("passkeys.new")}
          </Button>
        )
      }
    >
      {!hasPasskeys && <p class="soft">{t("passkeys.not-here")}</p>}
      <Loaded read={passkeys}>
        {({ items }) => (
          <>
            {items.length === 0 && <p class="empty">{t("passkeys.none")}</p>}
            {items.map((passkey) => (
              <Line key={passkey.id} passkey={passkey} />
            ))}
          </>
        )}
      </Loaded>
      {adds && <New onClose={() => setAdds(false)} />}
    </Section>
  );
}

/** Those of somebody else: they can be taken away when they are lost. */
export function PasskeysOf({ user }: { user: Entry }) {
  const path = `/users/${part(user.id)}/passkeys`;
  const passkeys = useLive<Page<Passkey>>(path);
  const [drops, setDrops] = useState<Passkey | null>(null);
  return (
    <Loaded read={passkeys}>
      {({ items }) => (
        <>
          {items.map((passkey) => (
            <div class="line" key={passkey.id}>
              <div>
                <strong>{passkey.name}</strong> <span class="soft">{`${t("passkeys.title")} · ${passkey.host}`}</span>
              </div>
              <Button onPress={() => setDrops(passkey)}>{t("factor.remove")}</Button>
            </div>
          ))}
          {drops && (
            <Confirm
              title={t("passkeys.remove", { name: drops.name })}
              action={t("factor.remove")}
              danger
              onClose={() => setDrops(null)}
              onConfirm={async () => {
                await ask("DELETE", `${path}/${part(drops.id)}`);
                changed(path);
                done(t("devices.revoked", { name: drops.name }));
              }}
            >
              <p>{t("passkeys.remove-other")}</p>
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}

/** A session alone may have been stolen: the password is asked for once more. */
function New({ onClose }: { onClose: () => void }) {
  return (
    <NewDialog
      title={t("passkeys.new")}
      action={t("passkeys.make")}
      initial={{ name: t("passkeys.this-device") }}
      onClose={onClose}
      onCreate={async (body) => {
        const { data } = await ask<Parameters<typeof createPasskey>[0]>("POST", `${PATH}/challenge`);
        const credential = await createPasskey(data);
        if (!credential) return;
        await ask<Passkey>("POST", PATH, { body: { ...body, credential } });
        changed(PATH);
        onClose();
      }}
      fields={[
        { name: "name", label: t("passkeys.name"), kind: "text", required: true, hint: t("passkeys.name-hint") },
        { name: "password", label: t("signin.password"), kind: "password", autocomplete: "current-password" },
      ]}
    />
  );
}

function Line({ passkey }: { passkey: Passkey }) {
  const [drops, setDrops] = useState(false);
  const [renames, setRenames] = useState(false);
  const used = passkey.used_at ? t("passkeys.used", { when: ago(passkey.used_at) }) : t("passkeys.unused");
  return (
    <div class="line">
      <div>
        <strong>{passkey.name}</strong> <span class="soft">{passkey.host}</span>
        <p class="soft" title={moment(passkey.created_at)}>
          {used}
        </p>
      </div>
      <Button kind="quiet" onPress={() => setRenames(true)}>
        {t("passkeys.rename")}
      </Button>
      <Button onPress={() => setDrops(true)}>{t("factor.remove")}</Button>
      {renames && (
        <NewDialog
          title={t("passkeys.rename")}
          action={t("passkeys.rename")}
          initial={{ name: passkey.name }}
          onClose={() => setRenames(false)}
          onCreate={async (body) => {
            await ask("PATCH", `${PATH}/${part(passkey.id)}`, { body });
            changed(PATH);
            setRenames(false);
          }}
          fields={[{ name: "name", label: t("passkeys.name"), kind: "text", required: true }]}
        />
      )}
      {drops && <Removal passkey={passkey} onClose={() => setDrops(false)} />}
    </div>
  );
}

function Removal({ passkey, onClose }: { passkey: Passkey; onClose: () => void }) {
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setProblem(null);
    try {
      await ask("DELETE", `${PATH}/${part(passkey.id)}`, { body: { password } });
      changed(PATH);
      done(t("devices.revoked", { name: passkey.name }));
      onClose();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <Dialog title={t("passkeys.remove", { name: passkey.name })} onClose={onClose}>
      <Form onSubmit={submit}>
        <p>{t("passkeys.remove-lead")}</p>
        <Field
          spec={{ name: "password", label: t("signin.password"), kind: "password", autocomplete: "current-password" }}
          value={password}
          onChange={(value) => setPassword(String(value))}
        />
        {problem && <ProblemBox problem={problem} />}
        <footer class="actions">
          <Button onPress={onClose}>{t("cancel")}</Button>
          <Button type="submit" kind="danger">
            {t("factor.remove")}
          </Button>
        </footer>
      </Form>
    </Dialog>
  );
}

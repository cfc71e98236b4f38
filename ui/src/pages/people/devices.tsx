// How a user comes in besides the password: app passwords of programs, browsers that are signed in, the second factor.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { ago, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { AppPassword, Entry, Page } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm, Dialog } from "../../widgets/dialog.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Copyable, Loaded, Section } from "../../widgets/parts.tsx";
import { done } from "../../widgets/toast.tsx";
import { PasskeysOf } from "./passkeys.tsx";
import { nameOf } from "./paths.ts";
import { Connections, Sessions } from "./sessions.tsx";

const PROTOCOLS = ["imap", "pop3", "smtp", "managesieve", "dav"];

export function Devices({ user }: { user: Entry }) {
  const path = `/users/${part(user.id)}/app-passwords`;
  const passwords = useLive<Page<AppPassword>>(path);
  const [adds, setAdds] = useState(false);
  const [made, setMade] = useState<AppPassword | null>(null);
  const [resets, setResets] = useState(false);
  return (
    <Section
      title={t("devices.title")}
      actions={
        <>
          <Button kind="quiet" onPress={() => setResets(true)}>
            {t("devices.reset")}
          </Button>
          <Button icon="plus" onPress={() => setAdds(true)}>
            {t("devices.new")}
          </Button>
        </>
      }
    >
      <Loaded read={passwords}>
        {({ items }) => (
          <>
            {items.length === 0 && <p class="empty">{t("devices.none")}</p>}
            {items.map((password) => (
              <AppPasswordLine key={password.id} password={password} path={path} />
            ))}
          </>
        )}
      </Loaded>
      <PasskeysOf user={user} />
      <Sessions user={user.address} />
      <Connections user={user.id} />
      {adds && (
        <NewDialog
          title={t("devices.new")}
          action={t("create")}
          onClose={() => setAdds(false)}
          onCreate={async (body) => {
            setMade((await ask<AppPassword>("POST", path, { body })).data);
            changed(path);
            setAdds(false);
          }}
          fields={[
            { name: "name", label: t("devices.name"), kind: "text", required: true, hint: t("devices.name-hint") },
            {
              name: "protocols",
              label: t("devices.protocols"),
              kind: "choices",
              choices: PROTOCOLS.map((name) => ({ value: name, label: name.toUpperCase() })),
              hint: t("devices.protocols-hint"),
            },
          ]}
        />
      )}
      {made && (
        <Dialog title={made.name} onClose={() => setMade(null)}>
          <p>{t("devices.once")}</p>
          <div class="command">
            <Copyable text={made.password ?? ""} label={t("user.password")} />
          </div>
        </Dialog>
      )}
      {resets && (
        <Confirm
          title={t("devices.reset")}
          action={t("devices.reset")}
          name={user.address}
          danger
          onClose={() => setResets(false)}
          onConfirm={async () => {
            await ask("DELETE", `/users/${part(user.id)}/second-factor`);
            done(t("devices.was-reset", { name: nameOf(user) }));
          }}
        >
          <p>{t("devices.reset-lead", { name: nameOf(user) })}</p>
        </Confirm>
      )}
    </Section>
  );
}

function AppPasswordLine({ password, path }: { password: AppPassword; path: string }) {
  const [drops, setDrops] = useState(false);
  return (
    <div class="line">
      <div>
        <strong>{password.name}</strong> <span class="soft">{password.protocols.join(", ").toUpperCase()}</span>
        <p class="soft">
          <span title={moment(password.created_at)}>{ago(password.created_at)}</span>
          {password.expires_at && ` · ${t("devices.until", { at: moment(password.expires_at) })}`}
        </p>
      </div>
      <Button onPress={() => setDrops(true)}>{t("tokens.revoke")}</Button>
      {drops && (
        <Confirm
          title={t("devices.revoke-title", { name: password.name })}
          action={t("tokens.revoke")}
          danger
          onClose={() => setDrops(false)}
          onConfirm={async () => {
            await ask("DELETE", `${path}/${part(password.id)}`);
            changed(path);
            done(t("devices.revoked", { name: password.name }));
          }}
        >
          <p>{t("devices.revoke-lead")}</p>
        </Confirm>
      )}
    </div>
  );
}

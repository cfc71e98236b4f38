// Administrators who work as a user: begun with a reason by who may, seen and ended by the user too.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import { session } from "../../base/session.ts";
import type { Entry, Page } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Dialog } from "../../widgets/dialog.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Copyable, Loaded, Section } from "../../widgets/parts.tsx";
import { attempt, done } from "../../widgets/toast.tsx";

interface Sudo {
  id: string;
  user: string;
  by: string;
  reason: string;
  expires_at: string;
  password?: string;
  token?: string;
}

interface OwnSudo {
  open: Sudo[];
  uses: { at: string; who: string; method: string; path: string; peer: string }[];
}

/** Uses that are shown of those that are known. */
const USES_SHOWN_MAX = 20;

export function SudoOf({ user }: { user: Entry }) {
  const may = session.value?.rights.some((one) => one.permissions.some((name) => name.startsWith("sudo:")));
  return may ? <SudoList user={user} /> : null;
}

function SudoList({ user }: { user: Entry }) {
  const path = `/users/${part(user.id)}/sudo`;
  const open = useLive<Page<Sudo>>(path);
  const [begins, setBegins] = useState(false);
  const [made, setMade] = useState<Sudo | null>(null);
  return (
    <Section title={t("sudo.title")} actions={<Button onPress={() => setBegins(true)}>{t("sudo.begin")}</Button>}>
      <Loaded read={open}>
        {({ items }) => (
          <>
            {items.length === 0 && <p class="empty">{t("sudo.none")}</p>}
            {items.map((one) => (
              <SudoLine key={one.id} sudo={one} path={path} />
            ))}
          </>
        )}
      </Loaded>
      {begins && (
        <NewDialog
          title={t("sudo.begin")}
          action={t("sudo.begin")}
          onClose={() => setBegins(false)}
          onCreate={async (body) => {
            setMade((await ask<Sudo>("POST", path, { body })).data);
            changed(path);
            setBegins(false);
          }}
          fields={[
            { name: "reason", label: t("sudo.reason"), kind: "text", required: true, hint: t("sudo.reason-hint") },
          ]}
        />
      )}
      {made && (
        <Dialog title={t("sudo.made")} onClose={() => setMade(null)}>
          <p>{t("sudo.made-lead", { until: moment(made.expires_at) })}</p>
          <div class="command">
            <Copyable text={made.password ?? ""} label={t("sudo.password")} />
          </div>
          <div class="command">
            <Copyable text={made.token ?? ""} label={t("sudo.token")} />
          </div>
        </Dialog>
      )}
    </Section>
  );
}

function SudoLine({ sudo, path }: { sudo: Sudo; path: string }) {
  const end = (): Promise<boolean> =>
    attempt(async () => {
      await ask("DELETE", `${path}/${part(sudo.id)}`);
      changed(path, "/me/sudo");
      done(t("sudo.ended"));
    });
  return (
    <div class="line">
      <div>
        <strong>{sudo.by}</strong>
        <p class="soft">
          {sudo.reason} · {t("sudo.until", { until: moment(sudo.expires_at) })}
        </p>
      </div>
      <Button onPress={end}>{t("sudo.end")}</Button>
    </div>
  );
}

/** What a user sees of those who worked as them. */
export function OwnSudo() {
  const own = useLive<OwnSudo>("/me/sudo");
  return (
    <Section title={t("sudo.own")} lead={t("sudo.own-lead")}>
      <Loaded read={own}>
        {({ open, uses }) => (
          <>
            {open.length + uses.length === 0 && <p class="empty">{t("sudo.none")}</p>}
            {open.map((one) => (
              <SudoLine key={one.id} sudo={one} path="/me/sudo" />
            ))}
            <ul class="bare">
              {uses.slice(0, USES_SHOWN_MAX).map((use) => (
                <li key={`${use.at} ${use.method} ${use.path}`}>
                  <span class="soft">{moment(use.at)}</span> {use.who} · {use.method} {use.path}{" "}
                  <span class="soft">{use.peer}</span>
                </li>
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </Section>
  );
}

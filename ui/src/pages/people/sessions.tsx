// Where somebody is signed in, each ended by itself.

import { ask, part, query } from "../../base/api.ts";
import { ago, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Connection, Page, SignedIn } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Badge, Loaded } from "../../widgets/parts.tsx";
import { attempt, done } from "../../widgets/toast.tsx";

/** Letters of a program's name that are shown. */
const AGENT_SHOWN_MAX = 40;

/** A browser and its system, as people call them; other programs by what they say first. */
function agentOf(text: string): string {
  const browser = ["Edg", "OPR", "Firefox", "Chrome", "Safari"].find((name) => text.includes(`${name}/`));
  const system = ["Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux"].find((name) => text.includes(name));
  const names: Record<string, string> = { Edg: "Edge", OPR: "Opera", "Mac OS X": "macOS" };
  const known = [browser, system].filter((name) => name !== undefined).map((name) => names[name] ?? name);
  return browser ? known.join(", ") : (text.split(" ")[0] ?? "").slice(0, AGENT_SHOWN_MAX);
}

/** Sessions of mail programs; those that may log in come back by themselves. */
export function Connections({ user }: { user: number }) {
  const path = `/users/${part(user)}/connections`;
  const connections = useLive<Page<Connection>>(path);
  return (
    <Loaded read={connections}>
      {({ items }) => (
        <>
          {items.map((connection) => (
            <ConnectionLine key={connection.id} connection={connection} path={path} />
          ))}
        </>
      )}
    </Loaded>
  );
}

function ConnectionLine({ connection, path }: { connection: Connection; path: string }) {
  const end = (): Promise<boolean> =>
    attempt(async () => {
      await ask("DELETE", `${path}/${part(connection.id)}`);
      changed(path);
      done(t("devices.ended"));
    });
  return (
    <div class="line">
      <div>
        <strong>{connection.client ?? t("devices.program")}</strong> <Badge>{connection.protocol.toUpperCase()}</Badge>{" "}
        {!connection.encrypted && <Badge tone="attention">{t("devices.clear")}</Badge>}
        <p class="soft">
          {connection.peer} · {connection.server} · <span title={moment(connection.since)}>{ago(connection.since)}</span>
        </p>
      </div>
      <Button onPress={end}>{t("devices.end")}</Button>
    </div>
  );
}

export function Sessions({ user }: { user: string }) {
  const sessions = useLive<Page<SignedIn>>(`/sessions${query({ name: user })}`);
  return (
    <Loaded read={sessions}>
      {({ items }) => (
        <>
          {items.map((session) => (
            <SessionLine key={session.id} session={session} />
          ))}
        </>
      )}
    </Loaded>
  );
}

function SessionLine({ session }: { session: SignedIn }) {
  const end = (): Promise<boolean> =>
    attempt(async () => {
      await ask("DELETE", `/sessions/${part(session.id)}`);
      changed("/sessions");
      done(t("devices.ended"));
    });
  return (
    <div class="line">
      <div>
        <strong title={session.agent}>{agentOf(session.agent) || t("devices.browser")}</strong>{" "}
        {session.current && <Badge tone="info">{t("devices.this")}</Badge>}
        <p class="soft">
          {session.peer} · <span title={moment(session.used_at)}>{ago(session.used_at)}</span>
        </p>
      </div>
      <Button disabled={session.current} onPress={end}>
        {t("devices.end")}
      </Button>
    </div>
  );
}

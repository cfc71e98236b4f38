// A new server: a name and roles are chosen here, one command is pasted there, and the page says when it is there and
// whether it is right: it answers, runs the same version, has its roles, and which domains put accounts on it.

import { useState } from "preact/hooks";
import { asProblem, ask, part, type Problem } from "../../base/api.ts";
import { bytes, known, list, moment, number, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Domain, Page as Items, Server, Status, Token } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Field } from "../../widgets/field.tsx";
import { Icon } from "../../widgets/icon.tsx";
import { Link } from "../../widgets/link.tsx";
import { Copyable, Page, Section } from "../../widgets/parts.tsx";
import { Form } from "../../widgets/once.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";

/** How often it is looked whether the server has joined, in milliseconds. */
const LOOK_MS = 2000;

const LIFETIMES = [1, 24, 168];

export function JoinPage() {
  const [name, setName] = useState("");
  const [roles, setRoles] = useState(["data"]);
  const [hours, setHours] = useState("1");
  const [token, setToken] = useState<Token | null>(null);
  const [before, setBefore] = useState<string[]>([]);
  const [problem, setProblem] = useState<Problem | null>(null);
  const issue = async (event: Event): Promise<void> => {
    event.preventDefault();
    setProblem(null);
    const body = { name: name.trim() || undefined, roles, lifetime_ms: Number(hours) * 3_600_000 };
    try {
      const servers = await ask<Items<Server>>("GET", "/servers");
      setBefore(servers.data.items.map((server) => server.id));
      setToken((await ask<Token>("POST", "/tokens", { body })).data);
      changed("/tokens");
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <Page title={t("join.title")} up={{ to: "/servers", title: t("nav.servers") }} lead={t("join.lead")}>
      {token ? (
        <Joining token={token} name={name.trim()} before={before} onAgain={() => setToken(null)} />
      ) : (
        <Section title={t("join.what")}>
          <Form class="edit" onSubmit={issue}>
            <Field
              spec={{ name: "name", label: t("server.name"), kind: "text", hint: t("join.name-hint"), placeholder: "mail2" }}
              value={name}
              onChange={(value) => setName(String(value ?? ""))}
            />
            <Field
              spec={{
                name: "roles",
                label: t("server.roles"),
                kind: "choices",
                choices: ["data", "edge"].map((role) => ({ value: role, label: `${known("role", role)}: ${known("role-hint", role)}` })),
              }}
              value={roles}
              onChange={(value) => setRoles(value as string[])}
            />
            <Field
              spec={{
                name: "lifetime",
                label: t("join.lifetime"),
                kind: "select",
                choices: LIFETIMES.map((n) => ({ value: String(n), label: t(`join.hours-${n as 1 | 24 | 168}`) })),
              }}
              value={hours}
              onChange={(value) => setHours(String(value))}
            />
            {problem && <ProblemBox problem={problem} />}
            <footer class="actions">
              <Button type="submit" kind="primary" disabled={roles.length === 0}>
                {t("join.make")}
              </Button>
            </footer>
          </Form>
        </Section>
      )}
    </Page>
  );
}

interface JoiningProps {
  token: Token;
  name: string;
  before: string[];
  onAgain: () => void;
}

function Joining({ token, name, before, onAgain }: JoiningProps) {
  const servers = useLive<Items<Server>>("/servers", LOOK_MS);
  const main = servers.data?.items.find((server) => server.roles.includes("main"));
  const joined = servers.data?.items.find((server) => !before.includes(server.id));
  const named = name ? ` --name ${name}` : "";
  const command =
    `sudo -u sterna sterna init --join ${main?.address} --token ${token.token ?? ""}${named}` +
    ` --roles ${token.roles.join(",")} && sudo systemctl enable --now sterna`;
  return (
    <>
      <Section title={t("join.paste")} lead={t("join.paste-lead")}>
        <div class="command">
          {main ? <Copyable text={command} label={t("join.command")} /> : t("loading")}
        </div>
        <p class="soft">{t("join.once", { until: moment(token.expires_at) })}</p>
      </Section>
      <Section title={t("join.arrival")}>
        <div aria-live="polite">
          {joined ? (
            <Arrived server={joined} wanted={token.roles} />
          ) : (
            <p class="empty" aria-busy="true">
              {t("join.waiting")}
            </p>
          )}
        </div>
        <div class="actions">
          <Button onPress={onAgain}>{t("join.another")}</Button>
        </div>
      </Section>
    </>
  );
}

/** What must be right about a new server. */
function Arrived({ server, wanted }: { server: Server; wanted: string[] }) {
  const status = useLive<Status>("/status");
  const domains = useLive<Items<Domain>>("/domains");
  const ours = status.data?.node.version ?? null;
  const using = (domains.data?.items ?? []).filter((domain) => domain.servers.length === 0 || domain.servers.includes(server.name));
  const checks: [boolean, string][] = [
    [server.answers, server.answers ? t("check.answers") : t("check.silent", { cause: server.cause ?? "" })],
    [server.version === ours, t("check.version", { version: server.version ?? "–", ours: ours ?? "–" })],
    [wanted.every((role) => server.roles.includes(role)), t("check.roles", { roles: list(server.roles.map((role) => known("role", role))) })],
    [
      (server.free_bytes ?? 0) > 0,
      t("check.disk", { free: server.free_bytes === null ? "–" : bytes(server.free_bytes), load: server.load === null ? "–" : number(server.load, 2) }),
    ],
  ];
  if (server.roles.includes("data")) {
    checks.push([
      using.length > 0,
      using.length > 0 ? t("check.domains", { domains: list(using.map((domain) => domain.name)) }) : t("check.no-domain"),
    ]);
  }
  return (
    <>
      <p>
        <strong>
          <Link to={`/servers/${part(server.name)}`}>{server.name}</Link>
        </strong>{" "}
        {t("join.joined", { address: server.address })}
      </p>
      <ul class="checks">
        {checks.map(([ok, text]) => (
          <li key={text} class={ok ? "good" : "attention"}>
            <Icon name={ok ? "check" : "warning"} />
            {text}
          </li>
        ))}
      </ul>
    </>
  );
}

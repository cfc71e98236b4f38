// The beginning of a migration: a token is made here, and one command is pasted on the new machine.

import { useState } from "preact/hooks";
import { asProblem, ask, type Problem } from "../../base/api.ts";
import { moment, t } from "../../base/i18n.ts";
import { useLive } from "../../base/live.ts";
import type { SuccessorToken } from "../../base/migration.ts";
import type { Page as Items, Server } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Field } from "../../widgets/field.tsx";
import { Form } from "../../widgets/once.tsx";
import { Copyable, Section } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";

/** How often it is looked whether the new machine is there, in milliseconds. */
const LOOK_MS = 2000;

export function Begin() {
  const servers = useLive<Items<Server>>("/servers");
  const main = servers.data?.items.find((server) => server.roles.includes("main"))?.name ?? "";
  const [server, setServer] = useState<string | null>(null);
  const [token, setToken] = useState<SuccessorToken | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const make = async (event: Event): Promise<void> => {
    event.preventDefault();
    setProblem(null);
    try {
      setToken((await ask<SuccessorToken>("POST", "/migration", { body: { server: server ?? main } })).data);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  if (token) return <Paste token={token} />;
  return (
    <Section title={t("migration.begin")} lead={t("migration.begin-lead")}>
      <Form class="edit" onSubmit={make}>
        <Field
          spec={{
            name: "server",
            label: t("migration.server"),
            kind: "select",
            choices: (servers.data?.items ?? []).map((one) => ({ value: one.name, label: one.name })),
          }}
          value={server ?? main}
          onChange={(value) => setServer(String(value))}
        />
        {problem && <ProblemBox problem={problem} />}
        <footer class="actions">
          <Button type="submit" kind="primary" disabled={main === ""}>
            {t("join.make")}
          </Button>
        </footer>
      </Form>
    </Section>
  );
}

function Paste({ token }: { token: SuccessorToken }) {
  // The page shows the migration in the place of this as soon as there is one.
  useLive("/migration", LOOK_MS);
  const command = `sudo -u sterna sterna migrate from ${token.address} --token ${token.token ?? ""} && sudo systemctl enable --now sterna`;
  return (
    <Section title={t("join.paste")} lead={t("migration.paste-lead", { name: token.server })}>
      <div class="command">
        <Copyable text={command} label={t("join.command")} />
      </div>
      <p class="soft">{t("migration.secret", { until: moment(token.expires_at) })}</p>
      <p class="empty" aria-busy="true" aria-live="polite">
        {t("migration.waiting")}
      </p>
    </Section>
  );
}

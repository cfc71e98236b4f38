// What people look after when everything is on the new machine: settings that still name the old one, as a difference to
// accept, and names in DNS until they lead to the new one.

import { ask, part } from "../../base/api.ts";
import { known, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Afterwards as Left, AfterwardsName } from "../../base/migration.ts";
import { Button } from "../../widgets/button.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Loaded, Section, type Tone } from "../../widgets/parts.tsx";
import { Table } from "../../widgets/table.tsx";
import { attempt, done } from "../../widgets/toast.tsx";

const PATH = "/migration/afterwards";

/** How often DNS is asked, in milliseconds. */
const LOOK_MS = 15_000;

const TONES: Record<AfterwardsName["state"], Tone> = {
  done: "good", old: "attention", neither: "info", missing: "bad", unknown: "plain",
};

export function Afterwards() {
  const left = useLive<Left>(`${PATH}?look=true`, LOOK_MS);
  return (
    <Section title={t("migration.afterwards")} lead={t("migration.afterwards-lead")}>
      <Loaded read={left}>{(data) => <Parts left={data} />}</Loaded>
      <ul>
        <li>
          <Link to="/domains">{t("migration.dns")}</Link>
        </li>
        <li>
          <Link to="/firewall">{t("migration.firewall")}</Link>
        </li>
        <li>
          <Link to="/mail/maintenance">{t("migration.routing")}</Link>
        </li>
        <li>
          <Link to="/mail/networks">{t("migration.networks")}</Link>
        </li>
      </ul>
    </Section>
  );
}

function Parts({ left }: { left: Left }) {
  const { from, to, changes, names, problems } = left;
  return (
    <>
      {problems.map((problem) => (
        <p key={problem} class="remedy">
          {problem}
        </p>
      ))}
      <h3>{t("afterwards.settings", { from })}</h3>
      {changes.length === 0 ? <p class="empty">{t("afterwards.none", { from })}</p> : <Changes left={left} />}
      <h3>{t("afterwards.names")}</h3>
      <Table
        caption={t("afterwards.names")}
        rows={names}
        keyOf={(name) => `${name.type} ${name.name}`}
        empty={t("afterwards.no-names")}
        columns={[
          { title: t("afterwards.name"), cell: (name) => `${name.name} (${name.type})` },
          { title: t("afterwards.found"), cell: (name) => name.cause ?? (name.found.join(" ") || "–") },
          { title: t("afterwards.wanted"), cell: (name) => name.wanted.join(" ") || to },
          { title: t("state"), cell: (name) => <Badge tone={TONES[name.state]}>{known("afterwards-name", name.state)}</Badge> },
        ]}
      />
    </>
  );
}

function Changes({ left }: { left: Left }) {
  const accept = (): Promise<boolean> =>
    attempt(async () => {
      const body = { accept: left.changes.map(({ id, after }) => ({ id, after })) };
      await ask("POST", PATH, { body });
      done(t("saved"));
      changed("/migration", "/settings", "/firewall");
    });
  return (
    <>
      <dl>
        {left.changes.map((change) => (
          <div key={change.id}>
            <dt>
              {change.domain && <Link to={`/domains/${part(change.domain)}`}>{change.domain}</Link>} <code>{change.name}</code>
            </dt>
            <dd>
              <del>{change.before}</del>
            </dd>
            <dd>
              <ins>{change.after}</ins>
            </dd>
          </div>
        ))}
      </dl>
      <Button kind="primary" disabled={!left.is_time} onPress={accept}>
        {t("afterwards.accept")}
      </Button>
    </>
  );
}

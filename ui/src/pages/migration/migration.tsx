// A new machine takes an old one's place: how far that is, what it waits for, and what can be done now, in the same words
// as on the command line; and the ways in from other systems.

import { part } from "../../base/api.ts";
import { bytes, count, duration, known, moment, number, t } from "../../base/i18n.ts";
import { useLive, usePages } from "../../base/live.ts";
import type { Migration, MigrationAccount } from "../../base/migration.ts";
import type { Status } from "../../base/types.ts";
import { Icon } from "../../widgets/icon.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Copyable, Facts, Loaded, Page, Progress, Section, type Tone } from "../../widgets/parts.tsx";
import { More, Table } from "../../widgets/table.tsx";
import { Actions } from "./actions.tsx";
import { Afterwards } from "./afterwards.tsx";
import { Begin } from "./begin.tsx";

/** How often it is looked while something goes on, in milliseconds: every copy is asked for it. */
const LOOK_MS = 2000;

const TONES: Record<Migration["phase"], Tone> = {
  syncing: "info", switching: "info", switched: "good", returning: "attention", finishing: "info", done: "good", aborting: "attention", aborted: "plain",
};

const OVER: Migration["phase"][] = ["done", "aborted"];

export function MigrationPage() {
  const first = useLive<Migration>("/migration");
  // Between both machines nobody is the main node for some seconds: what was there stays, and it is asked again.
  const goesOn = first.data !== null && !OVER.includes(first.data.phase);
  const migration = useLive<Migration>("/migration", goesOn ? LOOK_MS : undefined);
  const isNone = migration.data === null && migration.problem?.status === 404;
  return (
    <Page title={t("nav.migration")} lead={t("migration.lead")}>
      {isNone ? <Begin /> : <Loaded read={migration}>{(data) => <State migration={data} />}</Loaded>}
      {migration.data && OVER.includes(migration.data.phase) && <Begin />}
      <WaysIn />
    </Page>
  );
}

function State({ migration }: { migration: Migration }) {
  const { from, to, copies } = migration;
  const at = (machine: Migration["from"]): string => `${machine.name}, ${count("accounts", machine.accounts)}`;
  return (
    <>
      <Section title={t("migration.title", { from: from.name, to: to.name })} actions={<Actions migration={migration} />}>
        <p aria-live="polite">
          <Badge tone={TONES[migration.phase]}>{known("migration-phase", migration.phase)}</Badge> {migration.says}
        </p>
        <Elsewhere migration={migration} />
        {migration.trouble && <p class="remedy">{migration.trouble}</p>}
        {migration.is_late && <p class="remedy">{t("migration.late", { when: moment(migration.deadline) })}</p>}
        <Facts
          items={[
            [t("migration.from"), at(from)],
            [t("migration.to"), at(to)],
            [t("migration.main"), migration.main ?? "–"],
            [t("job.began"), moment(migration.begun_at)],
            [t("by"), migration.by || "–"],
            [t("migration.looked"), moment(migration.heartbeat)],
            ...(migration.job ? [[t("job.title"), <Link key="job" to={`/jobs/${part(migration.job)}`}>{migration.job}</Link>] as [string, preact.ComponentChild]] : []),
          ]}
        />
        {migration.left_behind.length > 0 && <p>{t("migration.left-behind", { files: migration.left_behind.join(", ") })}</p>}
      </Section>
      {copies.accounts > 0 && <Copies migration={migration} />}
      {migration.checks.length > 0 && <Checks migration={migration} />}
      {migration.phase === "switched" && <Afterwards />}
    </>
  );
}

/** The main role has gone to the other machine: it is told there what to do, and this one only looks on. */
function Elsewhere({ migration }: { migration: Migration }) {
  const status = useLive<Status>("/status", OVER.includes(migration.phase) ? undefined : LOOK_MS);
  if (status.data?.directory.is_main !== false || migration.main === null) return null;
  const main = [migration.from, migration.to].find((machine) => machine.name === migration.main);
  const host = main?.address?.replace(/:\d+$/, "");
  return (
    <p>
      {t("migration.moved", { name: migration.main })}{" "}
      {host && <a href={`https://${host}/admin/migration`}>{host}</a>}
    </p>
  );
}

/** How far the copies on the other machine are. */
function Copies({ migration }: { migration: Migration }) {
  const { copies } = migration;
  return (
    <Section title={t("migration.copies")}>
      <Progress part={copies.equal / copies.accounts} label={t("migration.copies")} />
      <Facts
        items={[
          [t("migration.equal"), t("job.of", { done: number(copies.equal), total: count("accounts", copies.accounts) })],
          [t("migration.behind"), number(copies.changes)],
          [t("migration.fetched"), t("job.bytes", { done: bytes(copies.fetched_bytes), total: bytes(copies.bytes) })],
          [t("migration.cold"), duration(copies.expected_cold_ms / 1000)],
        ]}
      />
      {copies.trouble && <p class="remedy">{copies.trouble}</p>}
      <Accounts />
    </Section>
  );
}

function Accounts() {
  const accounts = usePages<MigrationAccount>("/migration/accounts?limit=50", LOOK_MS);
  return (
    <>
      <Table
        caption={t("accounts.title")}
        rows={accounts.items}
        keyOf={(account) => String(account.account)}
        empty={t("loading")}
        columns={[
          { title: t("people.address"), cell: (account) => account.address },
          { title: t("state"), cell: (account) => known("migration-copy", account.state) },
          { title: t("migration.behind"), numeric: true, cell: (account) => (account.behind === null ? "–" : number(account.behind)) },
          { title: t("migration.fetched"), numeric: true, cell: (account) => bytes(account.fetched_bytes) },
          { title: t("job.more"), cell: (account) => account.trouble ?? "–" },
        ]}
      />
      <More more={accounts.more} loading={accounts.loading} />
    </>
  );
}

/** What has to be as it should before anything is switched, with what to do. */
function Checks({ migration }: { migration: Migration }) {
  return (
    <Section title={t("migration.checks")}>
      <ul class="checks">
        {migration.checks.map((check) => (
          <li key={check.name} class={check.is_well ? "good" : "attention"}>
            <Icon name={check.is_well ? "check" : "warning"} />
            <span>
              {check.says} {check.remedy && <span class="remedy">{check.remedy}</span>}
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** Ways in from other systems, as commands: they read files and passwords that no browser should have. */
function WaysIn() {
  const ways = [
    [t("migration.imap"), t("migration.imap-lead"), "sterna import imap --host OLD --accounts FILE"],
    [t("migration.dav"), t("migration.dav-lead"), "sterna import dav --url https://OLD/ --accounts FILE"],
    [t("migration.sieve"), t("migration.sieve-lead"), "sterna import sieve --host OLD --accounts FILE"],
    [t("migration.cyrus"), t("migration.cyrus-lead"), "sterna import cyrus status"],
    [t("migration.files"), t("migration.files-lead"), "sterna import ics FILE --to ADDRESS"],
  ] as const;
  return (
    <Section title={t("migration.elsewhere")} lead={t("migration.elsewhere-lead")}>
      {ways.map(([title, lead, command]) => (
        <div key={title}>
          <h3>{title}</h3>
          <p>{lead}</p>
          <Copyable text={command} label={title} />
        </div>
      ))}
    </Section>
  );
}

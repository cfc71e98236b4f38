// Users, groups, shared mailboxes and resources: four lists with the same filters.

import { useState } from "preact/hooks";
import { ask, query } from "../../base/api.ts";
import { bytes, count, number, t } from "../../base/i18n.ts";
import { changed, useLive, usePages } from "../../base/live.ts";
import { parameters, setParameter } from "../../base/router.ts";
import type { Domain, Entry, Page as Items } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Page } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { type Column, More, Table } from "../../widgets/table.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { MoveDialog } from "../servers/move.tsx";
import { CreateEntry } from "./create.tsx";
import { ImportDialog } from "./import.tsx";
import { type Collection, COLLECTIONS, apiPath, nameOf, pathOf } from "./paths.ts";
import { PeopleTabs } from "./tabs.tsx";

/** How long nothing must be typed before the list is asked for, in milliseconds. */
const PAUSE_MS = 200;

export function PeoplePage({ collection }: { collection: Collection }) {
  const { title, create } = COLLECTIONS[collection];
  const domain = parameters.value.get("domain") ?? "";
  const text = parameters.value.get("text") ?? "";
  const domains = useLive<Items<Domain>>("/domains");
  const entries = usePages<Entry>(`/${collection}${query({ limit: 100, domain, text })}`);
  const [chosen, setChosen] = useState(new Set<string>());
  const [imports, setImports] = useState(false);
  const isNew = parameters.value.get("new") === "1";
  // Rooms are shared mailboxes with rules, and have a list of their own.
  const rows = entries.items.filter((entry) => collection !== "accounts" || entry.kind === "shared");
  const picked = rows.filter((entry) => chosen.has(String(entry.id)));
  return (
    <Page
      title={t("nav.people")}
      actions={
        <>
          {collection === "users" && <Button onPress={() => setImports(true)}>{t("import.action")}</Button>}
          <Button kind="primary" icon="plus" onPress={() => setParameter("new", "1")}>
            {t(create)}
          </Button>
        </>
      }
    >
      <PeopleTabs />
      <Filters key={collection} domains={domains.data?.items ?? []} domain={domain} text={text} />
      {picked.length > 0 && <Bulk collection={collection} entries={picked} onDone={() => setChosen(new Set())} />}
      {entries.problem && <ProblemBox problem={entries.problem} onRetry={entries.reload} />}
      <Table
        caption={t(title)}
        rows={rows}
        keyOf={(entry) => String(entry.id)}
        nameOf={nameOf}
        chosen={chosen}
        onChoose={setChosen}
        empty={entries.loading ? t("loading") : t(text || domain ? "people.none-found" : "people.none")}
        columns={columns(collection)}
      />
      <More more={entries.more} loading={entries.loading} />
      {imports && <ImportDialog onClose={() => setImports(false)} />}
      {isNew && <CreateEntry collection={collection} onClose={() => setParameter("new", "")} />}
    </Page>
  );
}

interface FilterProps {
  domains: Domain[];
  domain: string;
  text: string;
}

/** What a list of people is narrowed by. */
export function Filters({ domains, domain, text }: FilterProps) {
  const [timer, setTimer] = useState<ReturnType<typeof setTimeout> | undefined>();
  return (
    <search class="filters">
      <input
        type="search"
        aria-label={t("people.filter")}
        placeholder={t("people.filter")}
        defaultValue={text}
        onInput={(event) => {
          const wanted = event.currentTarget.value.trim();
          clearTimeout(timer);
          setTimer(setTimeout(() => setParameter("text", wanted), PAUSE_MS));
        }}
      />
      <select aria-label={t("domain")} value={domain} onChange={(event) => setParameter("domain", event.currentTarget.value)}>
        <option value="">{t("people.all-domains")}</option>
        {domains.map((one) => (
          <option key={one.id} value={one.name}>
            {one.name}
          </option>
        ))}
      </select>
    </search>
  );
}

function columns(collection: Collection): Column<Entry>[] {
  const all: Column<Entry>[] = [
    {
      title: t("people.name"),
      cell: (entry) => (
        <>
          <Link to={pathOf(entry)}>{nameOf(entry)}</Link>
          {entry.display_name && <p class="soft">{entry.address}</p>}
        </>
      ),
    },
    {
      title: t("state"),
      cell: (entry) => (
        <>
          {entry.suspended ? <Badge tone="attention">{t("suspended")}</Badge> : <Badge tone="good">{t("in-use")}</Badge>}
          {entry.admin && <Badge tone="info">{t("user.admin-short")}</Badge>}
          {entry.hidden && <Badge>{t("hidden")}</Badge>}
        </>
      ),
    },
  ];
  if (collection === "groups") {
    return [...all, { title: t("group.members"), numeric: true, cell: (entry) => number(entry.member_count ?? 0) }];
  }
  if (collection === "resources") {
    all.push({ title: t("resource.capacity"), numeric: true, cell: (entry) => entry.resource?.capacity ?? "–" });
  }
  const quota = (entry: Entry): string => (entry.quota_bytes ? bytes(entry.quota_bytes) : t("unlimited"));
  return [
    ...all,
    { title: t("quota"), numeric: true, cell: quota },
    { title: t("server"), cell: (entry) => entry.server ?? "–" },
  ];
}

interface BulkProps {
  collection: Collection;
  entries: Entry[];
  onDone: () => void;
}

/** What can be done with several at once. */
function Bulk({ collection, entries, onDone }: BulkProps) {
  const [moves, setMoves] = useState(false);
  const suspend = (suspended: boolean) => async (): Promise<void> => {
    const meant = entries.filter((entry) => entry.suspended !== suspended);
    const set = async (value: boolean): Promise<void> => {
      for (const entry of meant) await ask("PATCH", apiPath(collection, entry.id), { body: { suspended: value } });
      changed(`/${collection}`);
    };
    if (!(await attempt(() => set(suspended)))) return changed(`/${collection}`);
    done(count(suspended ? "bulk.suspended" : "bulk.resumed", meant.length), () => set(!suspended));
    onDone();
  };
  return (
    <div class="bulk" role="toolbar" aria-label={t("bulk.label")}>
      <span>{count("bulk.chosen", entries.length)}</span>
      {collection !== "groups" && <Button onPress={() => setMoves(true)}>{t("move.action")}</Button>}
      <Button onPress={suspend(true)}>{t("suspend")}</Button>
      <Button onPress={suspend(false)}>{t("resume")}</Button>
      <Button kind="quiet" onPress={onDone}>
        {t("choose.none")}
      </Button>
      {moves && (
        <MoveDialog
          accounts={entries.map((entry) => ({ id: entry.id, address: entry.address, server: entry.server }))}
          onClose={() => setMoves(false)}
          onBegun={onDone}
        />
      )}
    </div>
  );
}

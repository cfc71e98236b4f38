// What was deleted and can be had back.

import { useState } from "preact/hooks";
import { ask, part, query } from "../../base/api.ts";
import { ago, moment, t } from "../../base/i18n.ts";
import { changed, usePages } from "../../base/live.ts";
import type { Binned } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Badge, Page } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { More, Table } from "../../widgets/table.tsx";
import { done } from "../../widgets/toast.tsx";
import { nameOf } from "./paths.ts";
import { PeopleTabs } from "./tabs.tsx";

/** Brings an entry back from the bin, under its old address or another. */
export async function restore(id: number, address?: string): Promise<void> {
  await ask("POST", `/bin/${part(id)}`, { body: address ? { address } : {} });
  changed("/bin", "/users", "/groups", "/accounts", "/resources", "/status");
}

export function BinPage() {
  const entries = usePages<Binned>(`/bin${query({ limit: 100 })}`);
  return (
    <Page title={t("nav.people")}>
      <PeopleTabs />
      <p class="lead">{t("bin.lead")}</p>
      {entries.problem && <ProblemBox problem={entries.problem} onRetry={entries.reload} />}
      <Table
        caption={t("bin.title")}
        rows={entries.items}
        keyOf={(entry) => String(entry.id)}
        nameOf={nameOf}
        empty={entries.loading ? t("loading") : t("bin.empty")}
        columns={[
          {
            title: t("people.name"),
            cell: (entry) => (
              <>
                <strong>{nameOf(entry)}</strong> <Badge>{t(`kind.${entry.kind}`)}</Badge>
                {entry.display_name && <p class="soft">{entry.address}</p>}
              </>
            ),
          },
          {
            title: t("bin.deleted"),
            cell: (entry) => (
              <>
                <span title={moment(entry.deleted_at)}>{ago(entry.deleted_at)}</span>
                {entry.deleted_by && <p class="soft">{entry.deleted_by}</p>}
              </>
            ),
          },
          { title: t("bin.until"), cell: (entry) => moment(entry.deleted_until) },
          { title: t("bin.actions"), cell: (entry) => <Actions entry={entry} /> },
        ]}
      />
      <More more={entries.more} loading={entries.loading} />
    </Page>
  );
}

function Actions({ entry }: { entry: Binned }) {
  const [restores, setRestores] = useState(false);
  const [purges, setPurges] = useState(false);
  const name = nameOf(entry);
  return (
    <div class="actions">
      <Button label={t("bin.restore-name", { name })} onPress={() => setRestores(true)}>
        {t("bin.restore")}
      </Button>
      <Button kind="danger" label={t("bin.purge-name", { name })} onPress={() => setPurges(true)}>
        {t("delete.for-ever")}
      </Button>
      {restores && (
        <NewDialog
          title={t("bin.restore-title", { name })}
          action={t("bin.restore")}
          initial={{ address: entry.address }}
          onClose={() => setRestores(false)}
          onCreate={async ({ address }) => {
            await restore(entry.id, address === entry.address ? undefined : String(address));
            done(t("bin.restored", { name }));
          }}
          fields={[
            {
              name: "address",
              label: t("people.address"),
              kind: "text",
              required: true,
              hint: t("bin.address-hint"),
            },
          ]}
        />
      )}
      {purges && (
        <Confirm
          title={t("delete.title", { name })}
          action={t("delete.for-ever")}
          name={entry.address}
          danger
          onClose={() => setPurges(false)}
          onConfirm={async () => {
            await ask("DELETE", `/bin/${part(entry.id)}`);
            changed("/bin");
            done(t("bin.purged", { name }));
          }}
        >
          <p>{t("bin.purge-lead")}</p>
        </Confirm>
      )}
    </div>
  );
}

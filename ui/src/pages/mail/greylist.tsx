// Whom greylisting makes wait on the edges, who is known by now, and how to forget them.

import { useState } from "preact/hooks";
import { ask, query } from "../../base/api.ts";
import { ago, known, list, moment, t } from "../../base/i18n.ts";
import { changed, usePages } from "../../base/live.ts";
import { parameters, setParameter } from "../../base/router.ts";
import type { Greylisted } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Page } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { More, Table } from "../../widgets/table.tsx";
import { done } from "../../widgets/toast.tsx";
import { MailTabs } from "./tabs.tsx";

const FILTERS = ["network", "sender", "recipient"] as const;

export function GreylistPage() {
  const filter = Object.fromEntries(FILTERS.map((name) => [name, parameters.value.get(name) ?? ""]));
  const rows = usePages<Greylisted>(`/greylist${query({ limit: 100, ...filter })}`);
  const [forgets, setForgets] = useState<Greylisted | null>(null);
  const forget = async ({ network, sender, recipient }: Greylisted): Promise<void> => {
    await ask("DELETE", `/greylist${query({ network, sender, recipient })}`);
    changed("/greylist");
    done(t("greylist.forgotten"));
  };
  return (
    <Page title={t("nav.mail")} actions={<Button onPress={rows.reload}>{t("reload")}</Button>}>
      <MailTabs />
      <p class="lead">
        {t("greylist.lead")} <Link to="/mail/limits">{t("limits.title")}</Link>
      </p>
      <search class="filters">
        {FILTERS.map((name) => (
          <input
            key={name}
            type="search"
            aria-label={t(`greylist.${name}`)}
            placeholder={t(`greylist.${name}`)}
            defaultValue={filter[name]}
            onChange={(event) => setParameter(name, event.currentTarget.value.trim())}
          />
        ))}
      </search>
      {rows.unreachable.length > 0 && <p class="remedy">{t("mail.unreachable", { servers: list(rows.unreachable) })}</p>}
      {rows.problem && <ProblemBox problem={rows.problem} onRetry={rows.reload} />}
      <Table
        caption={t("greylist.title")}
        rows={rows.items}
        keyOf={(row) => `${row.network} ${row.sender} ${row.recipient}`}
        empty={rows.loading ? t("loading") : t("greylist.empty")}
        columns={[
          { title: t("greylist.network"), cell: (row) => row.network },
          { title: t("greylist.sender"), cell: (row) => row.sender || "<>" },
          { title: t("greylist.recipient"), cell: (row) => row.recipient || "–" },
          { title: t("state"), cell: (row) => <Badge tone={row.state === "waiting" ? "attention" : "good"}>{known("greylist-state", row.state)}</Badge> },
          { title: t("server"), cell: (row) => row.server },
          { title: t("greylist.first"), cell: (row) => <span title={moment(row.first)}>{ago(row.first)}</span> },
          { title: t("greylist.last"), cell: (row) => <span title={moment(row.last)}>{ago(row.last)}</span> },
          { title: t("actions"), cell: (row) => <Button onPress={() => setForgets(row)}>{t("greylist.forget")}</Button> },
        ]}
      />
      <More more={rows.more} loading={rows.loading} />
      {forgets && (
        <Confirm title={t("greylist.forget")} action={t("greylist.forget")} onClose={() => setForgets(null)} onConfirm={() => forget(forgets)}>
          <p>{t("greylist.forget-lead", { network: forgets.network })}</p>
        </Confirm>
      )}
    </Page>
  );
}

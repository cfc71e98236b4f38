// The domains.

import { ask, part } from "../../base/api.ts";
import { known, t } from "../../base/i18n.ts";
import { changed, useLive, usePages } from "../../base/live.ts";
import { go, parameters, setParameter } from "../../base/router.ts";
import type { Domain, Page as Items, Server } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Page } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { More, Table } from "../../widgets/table.tsx";
import { done } from "../../widgets/toast.tsx";
import { placesOf } from "../people/create.tsx";

export function DomainsPage() {
  const domains = usePages<Domain>("/domains?limit=100");
  const isNew = parameters.value.get("new") === "1";
  return (
    <Page
      title={t("nav.domains")}
      actions={
        <Button kind="primary" icon="plus" onPress={() => setParameter("new", "1")}>
          {t("domains.new")}
        </Button>
      }
    >
      {domains.problem && <ProblemBox problem={domains.problem} onRetry={domains.reload} />}
      <Table
        caption={t("nav.domains")}
        rows={domains.items}
        keyOf={(domain) => String(domain.id)}
        empty={domains.loading ? t("loading") : t("domains.none")}
        columns={[
          {
            title: t("domain"),
            cell: (domain) => (
              <>
                <Link to={`/domains/${part(domain.name)}`}>{domain.name}</Link>
                {domain.description && <p class="soft">{domain.description}</p>}
              </>
            ),
          },
          { title: t("domains.aliases"), cell: (domain) => domain.aliases.join(", ") || "–" },
          { title: t("domains.servers"), cell: (domain) => domain.servers.join(", ") || t("domains.all-servers") },
          { title: t("domains.full"), cell: (domain) => known("full-mailbox", domain.full_mailbox) },
          {
            title: t("state"),
            cell: (domain) => (
              <Badge tone={domain.suspended ? "attention" : "good"}>{t(domain.suspended ? "suspended" : "in-use")}</Badge>
            ),
          },
        ]}
      />
      <More more={domains.more} loading={domains.loading} />
      {isNew && <NewDomain onClose={() => setParameter("new", "")} />}
    </Page>
  );
}

function NewDomain({ onClose }: { onClose: () => void }) {
  const servers = useLive<Items<Server>>("/servers").data?.items ?? [];
  return (
    <NewDialog
      title={t("domains.new")}
      action={t("create")}
      onClose={onClose}
      onCreate={async (body) => {
        const { data } = await ask<Domain>("POST", "/domains", { body });
        changed("/domains", "/status");
        go(`/domains/${part(data.name)}`);
        done(t("created", { name: data.name }), async () => {
          await ask("DELETE", `/domains/${part(data.id)}`);
          changed("/domains", "/status");
          go("/domains");
        });
      }}
      fields={[
        { name: "name", label: t("domain"), kind: "text", required: true, placeholder: "example.org" },
        { name: "aliases", label: t("domains.aliases"), kind: "list", hint: t("domains.aliases-hint") },
        { name: "description", label: t("domains.description"), kind: "text" },
        { name: "servers", label: t("domains.servers"), kind: "choices", choices: placesOf(servers), hint: t("domains.servers-hint") },
      ]}
    />
  );
}

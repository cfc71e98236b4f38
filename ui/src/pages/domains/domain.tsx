// One domain: its names and defaults, the servers that its accounts are on, its records in DNS and its keys.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { count, t } from "../../base/i18n.ts";
import { changed, deleting, useLive } from "../../base/live.ts";
import { useNamed } from "../../base/named.ts";
import { go } from "../../base/router.ts";
import type { Domain, Page as Items, Server, Setting } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import type { FieldSpec } from "../../widgets/field.tsx";
import { EditForm } from "../../widgets/form.tsx";
import { Badge, Loaded, Page, Section } from "../../widgets/parts.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { Link } from "../../widgets/link.tsx";
import { placesOf } from "../people/create.tsx";
import { SettingList } from "../settings/parts.tsx";
import { Dkim } from "./dkim.tsx";
import { DnsTable } from "./dns.tsx";

export function DomainPage({ name }: { name: string }) {
  const { path: named } = useNamed<Domain>("/domains", name);
  const read = useLive<Domain>(named);
  const id = read.data?.id ?? name;
  const path = `/domains/${part(id)}`;
  const servers = useLive<Items<Server>>("/servers").data?.items ?? [];
  const settings = useLive<Items<Setting>>(read.data ? `/settings?domain=${part(id)}` : null);
  return (
    <Page
      title={read.data?.name ?? name}
      up={{ to: "/domains", title: t("nav.domains") }}
      lead={
        read.data && (
          <>
            {read.data.suspended && <Badge tone="attention">{t("suspended")}</Badge>}{" "}
            <Link to={`/people/users?domain=${part(read.data.name)}`}>{t("domains.people")}</Link>
          </>
        )
      }
      actions={read.data && <DomainActions domain={read.data} path={path} etag={read.etag} />}
    >
      <Loaded read={read}>
        {(data) => (
          <>
            {(data.contacts_inside ?? 0) > 0 && (
              <p class="note attention">
                {count("domains.contacts-inside", data.contacts_inside ?? 0)}{" "}
                <Link to={`/people/contacts?text=${part(`@${data.name}`)}`}>{t("domains.contacts-inside.show")}</Link>
              </p>
            )}
            <div class="columns">
              <Section title={t("domains.identity")}>
                <EditForm path={path} name={data.name} data={data} etag={read.etag} fields={identity()} also={["/domains"]} />
              </Section>
              <div>
                <Section title={t("domains.servers")} lead={t("domains.servers-lead")}>
                  <EditForm path={path} name={data.name} data={data} etag={read.etag} fields={storage(servers)} also={["/domains"]} />
                </Section>
                <Section title={t("domains.defaults")}>
                  <EditForm path={path} name={data.name} data={data} etag={read.etag} fields={defaults()} also={["/domains", "/setting"]} />
                </Section>
              </div>
            </div>
            <DnsTable path={path} />
            <Dkim path={path} />
            <Section title={t("domains.settings")} lead={t("domains.settings-lead")}>
              <Loaded read={settings}>{({ items }) => <SettingList settings={items} domain={data.name} />}</Loaded>
            </Section>
          </>
        )}
      </Loaded>
    </Page>
  );
}

function identity(): FieldSpec[] {
  return [
    { name: "name", label: t("domain"), kind: "text", required: true },
    { name: "aliases", label: t("domains.aliases"), kind: "list", hint: t("domains.aliases-hint") },
    { name: "description", label: t("domains.description"), kind: "area" },
    { name: "postmaster", label: t("domains.postmaster"), kind: "text", nullable: true, hint: t("domains.postmaster-hint") },
  ];
}

function storage(servers: Server[]): FieldSpec[] {
  return [
    { name: "servers", label: t("domains.servers-chosen"), kind: "choices", choices: placesOf(servers), hint: t("domains.servers-hint") },
  ];
}

function defaults(): FieldSpec[] {
  return [
    { name: "retention_days", label: t("domains.retention"), kind: "number", nullable: true, hint: t("domains.retention-hint") },
    {
      name: "full_mailbox",
      label: t("domains.full"),
      kind: "select",
      choices: [
        { value: "defer", label: t("full-mailbox.defer") },
        { value: "refuse", label: t("full-mailbox.refuse") },
      ],
    },
    { name: "plus_separators", label: t("domains.plus"), kind: "text", nullable: true, hint: t("domains.plus-hint") },
  ];
}

interface ActionProps {
  domain: Domain;
  path: string;
  etag: string | null;
}

function DomainActions({ domain, path, etag }: ActionProps) {
  const [deletes, setDeletes] = useState(false);
  const suspend = async (suspended: boolean): Promise<void> => {
    await ask("PATCH", path, { body: { suspended } });
    changed("/domains");
  };
  const press = (): Promise<boolean> =>
    attempt(async () => {
      await suspend(!domain.suspended);
      done(t(domain.suspended ? "resumed" : "suspended-now", { name: domain.name }), () => suspend(domain.suspended));
    });
  return (
    <>
      <Button onPress={press}>{t(domain.suspended ? "resume" : "suspend")}</Button>
      <Button kind="danger" onPress={() => setDeletes(true)}>
        {t("delete")}
      </Button>
      {deletes && (
        <Confirm
          title={t("delete.title", { name: domain.name })}
          action={t("delete")}
          name={domain.name}
          danger
          onClose={() => setDeletes(false)}
          onConfirm={async () => {
            await deleting([path], () => ask("DELETE", path, { ifMatch: etag }));
            go("/domains");
            changed("/domains", "/status");
            done(t("deleted", { name: domain.name }));
          }}
        >
          <p>{t("delete.domain")}</p>
        </Confirm>
      )}
    </>
  );
}

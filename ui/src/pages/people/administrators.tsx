// Who may administer what, and what the roles permit.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { known, list, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Grant, Page as Items, Role } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Loaded, Page, Section } from "../../widgets/parts.tsx";
import { Table } from "../../widgets/table.tsx";
import { done } from "../../widgets/toast.tsx";
import { PeopleTabs } from "./tabs.tsx";

const AREAS = ["people", "passwords", "domains", "servers", "jobs", "mail", "settings", "administrators", "audit", "sudo"];

export function AdministratorsPage() {
  const grants = useLive<Items<Grant>>("/grants");
  const roles = useLive<Items<Role>>("/roles");
  const [adds, setAdds] = useState(false);
  return (
    <Page title={t("nav.people")}>
      <PeopleTabs />
      <Section title={t("people.administrators")} lead={t("administrators.lead")}>
        <Loaded read={grants}>
          {({ items }) => (
            <Table
              caption={t("people.administrators")}
              rows={items}
              keyOf={(grant) => `${grant.user} ${grant.role} ${grant.domain} ${grant.unit}`}
              empty={t("administrators.none")}
              columns={[
                { title: t("kind.user"), cell: (grant) => <Link to={`/people/users/${part(grant.user)}`}>{grant.user}</Link> },
                { title: t("grants.role"), cell: (grant) => known("role-name", grant.role) },
                {
                  title: t("administrators.where"),
                  cell: (grant) => [grant.domain ?? t("settings.installation"), grant.unit].filter(Boolean).join(" · "),
                },
              ]}
            />
          )}
        </Loaded>
      </Section>
      <Section
        title={t("roles.title")}
        actions={
          <Button icon="plus" onPress={() => setAdds(true)}>
            {t("roles.new")}
          </Button>
        }
      >
        <Loaded read={roles}>
          {({ items }) => (
            <>
              {items.map((role) => (
                <RoleLine key={role.name} role={role} />
              ))}
            </>
          )}
        </Loaded>
      </Section>
      {adds && <NewRole onClose={() => setAdds(false)} />}
    </Page>
  );
}

/** What a permission such as `people:write` allows. */
export function inWords(permission: string): string {
  const [area = "", right = ""] = permission.split(":");
  return t("roles.permission", { area: known("area", area), right: known("area-right", right) });
}

function RoleLine({ role }: { role: Role }) {
  const [deletes, setDeletes] = useState(false);
  return (
    <div class="line">
      <div>
        <strong>{known("role-name", role.name)}</strong> {role.builtin && <Badge>{t("roles.builtin")}</Badge>}
        <p class="soft">{list(role.permissions.map(inWords))}</p>
      </div>
      {!role.builtin && <Button onPress={() => setDeletes(true)}>{t("delete")}</Button>}
      {deletes && (
        <Confirm
          title={t("delete.title", { name: role.name })}
          action={t("delete")}
          danger
          onClose={() => setDeletes(false)}
          onConfirm={async () => {
            await ask("DELETE", `/roles/${part(role.name)}`);
            changed("/roles");
            done(t("deleted", { name: role.name }), async () => {
              const body = { description: role.description, permissions: role.permissions };
              await ask("PUT", `/roles/${part(role.name)}`, { body });
              changed("/roles");
            });
          }}
        >
          <p>{t("roles.delete")}</p>
        </Confirm>
      )}
    </div>
  );
}

function NewRole({ onClose }: { onClose: () => void }) {
  const choices = (right: "read" | "write") => AREAS.map((area) => ({ value: `${area}:${right}`, label: known("area", area) }));
  return (
    <NewDialog
      title={t("roles.new")}
      action={t("create")}
      onClose={onClose}
      onCreate={async ({ name, description, sees, changes }) => {
        const permissions = [...((sees as string[] | undefined) ?? []), ...((changes as string[] | undefined) ?? [])];
        await ask("PUT", `/roles/${part(String(name))}`, { body: { description, permissions } });
        changed("/roles");
        done(t("created", { name: String(name) }));
        onClose();
      }}
      fields={[
        { name: "name", label: t("people.name"), kind: "text", required: true, hint: t("roles.name-hint") },
        { name: "description", label: t("domains.description"), kind: "text" },
        { name: "sees", label: t("roles.sees"), kind: "choices", choices: choices("read") },
        { name: "changes", label: t("roles.changes"), kind: "choices", choices: choices("write"), hint: t("roles.changes-hint") },
      ]}
    />
  );
}

// What a user may administer, and where.

import { useState } from "preact/hooks";
import { ask, query } from "../../base/api.ts";
import { known, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Domain, Entry, Grant, Page, Role } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Loaded, Section } from "../../widgets/parts.tsx";
import { attempt, done } from "../../widgets/toast.tsx";

export function Grants({ user }: { user: Entry }) {
  const grants = useLive<Page<Grant>>(`/grants${query({ name: user.address })}`);
  const roles = useLive<Page<Role>>("/roles").data?.items ?? [];
  const domains = useLive<Page<Domain>>("/domains").data?.items ?? [];
  const [adds, setAdds] = useState(false);
  const set = async (grant: Grant, on: boolean): Promise<void> => {
    await ask(on ? "POST" : "DELETE", "/grants", { body: grant });
    changed("/grants", "/users");
  };
  const takeBack = (grant: Grant) => () =>
    attempt(async () => {
      await set(grant, false);
      done(t("grants.taken", { role: known("role-name", grant.role) }), () => set(grant, true));
    });
  return (
    <Section
      title={t("grants.title")}
      lead={t("grants.lead")}
      actions={
        <Button icon="plus" onPress={() => setAdds(true)}>
          {t("grants.new")}
        </Button>
      }
    >
      <Loaded read={grants}>
        {({ items }) => (
          <>
            {items.length === 0 && <p class="empty">{t("grants.none")}</p>}
            {items.map((grant) => (
              <div class="line" key={`${grant.role} ${grant.domain} ${grant.unit}`}>
                <div>
                  <strong>{known("role-name", grant.role)}</strong>{" "}
                  <span class="soft">{[grant.domain ?? t("settings.installation"), grant.unit].filter(Boolean).join(" · ")}</span>
                </div>
                <Button onPress={takeBack(grant)}>{t("grants.take")}</Button>
              </div>
            ))}
          </>
        )}
      </Loaded>
      {adds && (
        <NewDialog
          title={t("grants.new")}
          action={t("rights.give")}
          initial={{ role: roles[0]?.name }}
          onClose={() => setAdds(false)}
          onCreate={async (body) => {
            const grant = { ...body, user: user.address } as unknown as Grant;
            await set(grant, true);
            done(t("grants.given", { role: known("role-name", grant.role) }), () => set(grant, false));
            setAdds(false);
          }}
          fields={[
            {
              name: "role",
              label: t("grants.role"),
              kind: "select",
              choices: roles.map((role) => ({ value: role.name, label: known("role-name", role.name) })),
            },
            {
              name: "domain",
              label: t("domain"),
              kind: "select",
              choices: [
                { value: "", label: t("settings.installation") },
                ...domains.map((domain) => ({ value: domain.name, label: domain.name })),
              ],
            },
            { name: "unit", label: t("people.unit"), kind: "text", hint: t("grants.unit-hint") },
          ]}
        />
      )}
    </Section>
  );
}

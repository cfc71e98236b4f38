// One setting: what holds, for the installation or one domain, what would hold without it, and how it came about.

import { part, query } from "../../base/api.ts";
import { known, t } from "../../base/i18n.ts";
import { useLive, usePages } from "../../base/live.ts";
import { parameters } from "../../base/router.ts";
import type { Setting, SettingChange } from "../../base/types.ts";
import { Facts, Loaded, Page, Section } from "../../widgets/parts.tsx";
import { More } from "../../widgets/table.tsx";
import { History, SettingField, shown, Source } from "./parts.tsx";

export function SettingPage({ name }: { name: string }) {
  const domain = parameters.value.get("domain") ?? undefined;
  const setting = useLive<Setting>(`/settings/${part(name)}${query({ domain })}`);
  const changes = usePages<SettingChange>(`/setting-changes${query({ name, domain, limit: 20 })}`);
  return (
    <Page
      title={known("setting", name)}
      up={domain ? { to: `/domains/${part(domain)}`, title: domain } : { to: "/settings", title: t("nav.settings") }}
      lead={<code>{name}</code>}
    >
      <Loaded read={setting}>
        {(data) => (
          <Section title={domain ?? t("settings.installation")}>
            <Facts
              items={[
                [t("setting.value"), <><strong>{shown(data.value)}</strong> <Source setting={data} /></>],
                [t("setting.default"), shown(data.default)],
              ]}
            />
            <SettingField setting={data} domain={domain} label={t("setting.new-value")} />
          </Section>
        )}
      </Loaded>
      <Section title={t("settings.history")}>
        {changes.items.length === 0 ? <p class="empty">{t("settings.no-history")}</p> : <History changes={changes.items} />}
        <More more={changes.more} loading={changes.loading} />
      </Section>
    </Page>
  );
}

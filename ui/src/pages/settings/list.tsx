// Every setting with its value and who says so; and what was changed last.

import { known, t } from "../../base/i18n.ts";
import { useLive, usePages } from "../../base/live.ts";
import { parameters, setParameter } from "../../base/router.ts";
import type { Page as Items, Setting, SettingChange } from "../../base/types.ts";
import { Loaded, Page, Section } from "../../widgets/parts.tsx";
import { More } from "../../widgets/table.tsx";
import { History, SettingList } from "./parts.tsx";

export function SettingsPage() {
  const settings = useLive<Items<Setting>>("/settings");
  const changes = usePages<SettingChange>("/setting-changes?limit=10");
  const text = (parameters.value.get("text") ?? "").toLowerCase();
  const own = parameters.value.get("set") === "1";
  const meant = (setting: Setting): boolean => {
    const words = `${setting.name} ${known("setting", setting.name, "")} ${setting.value ?? ""}`.toLowerCase();
    return words.includes(text) && (!own || setting.from !== "default");
  };
  return (
    <Page title={t("nav.settings")} lead={t("settings.lead")}>
      <search class="filters">
        <input
          type="search"
          aria-label={t("settings.filter")}
          placeholder={t("settings.filter")}
          defaultValue={text}
          onInput={(event) => setParameter("text", event.currentTarget.value.trim())}
        />
        <label class="inline">
          <input type="checkbox" checked={own} onChange={(event) => setParameter("set", event.currentTarget.checked ? "1" : "")} />
          {t("settings.only-set")}
        </label>
      </search>
      <Loaded read={settings}>
        {({ items }) => (
          <>
            {[...grouped(items.filter(meant))].map(([group, some]) => (
              <Section key={group} title={known("setting-group", group)}>
                <SettingList settings={some} />
              </Section>
            ))}
          </>
        )}
      </Loaded>
      <Section title={t("settings.history")}>
        {changes.items.length === 0 ? <p class="empty">{t("settings.no-history")}</p> : <History changes={changes.items} />}
        <More more={changes.more} loading={changes.loading} />
      </Section>
    </Page>
  );
}

/** By what stands before the first dot; those without one come first. */
function grouped(settings: Setting[]): Map<string, Setting[]> {
  const groups = new Map<string, Setting[]>([["general", []]]);
  for (const setting of settings) {
    const group = setting.name.includes(".") ? (setting.name.split(".")[0] ?? "") : "general";
    groups.set(group, [...(groups.get(group) ?? []), setting]);
  }
  return new Map([...groups].filter(([, some]) => some.length > 0));
}

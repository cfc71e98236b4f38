// The lists of people beside each other.

import { t } from "../../base/i18n.ts";
import { path } from "../../base/router.ts";
import { Tabs } from "../../widgets/parts.tsx";
import { COLLECTIONS } from "./paths.ts";

export function PeopleTabs() {
  const tabs = Object.values(COLLECTIONS).map((one) => ({ to: one.to, title: t(one.title) }));
  tabs.push({ to: "/people/contacts", title: t("contacts.title") });
  tabs.push({ to: "/people/administrators", title: t("people.administrators") });
  tabs.push({ to: "/people/sources", title: t("sources.title") });
  tabs.push({ to: "/people/bin", title: t("bin.title") });
  return <Tabs tabs={tabs} at={path.value} label={t("nav.people")} />;
}

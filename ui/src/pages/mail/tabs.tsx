// The pages of the mail flow beside each other.

import { t } from "../../base/i18n.ts";
import { path } from "../../base/router.ts";
import { Tabs } from "../../widgets/parts.tsx";

export function MailTabs() {
  const tabs = [
    { to: "/mail/queue", title: t("queue.title") },
    { to: "/mail/trace", title: t("trace.title") },
    { to: "/mail/greylist", title: t("greylist.title") },
    { to: "/mail/maintenance", title: t("maintenance.title") },
    { to: "/mail/networks", title: t("networks.title") },
    { to: "/mail/relay", title: t("relay.title") },
    { to: "/mail/limits", title: t("limits.title") },
  ];
  return <Tabs tabs={tabs} at={path.value} label={t("nav.mail")} />;
}

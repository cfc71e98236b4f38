// Settings of the mail flow that have a page of their own: my networks, the relay host, limits.

import { known, type Key, t } from "../../base/i18n.ts";
import { useLive, usePages } from "../../base/live.ts";
import type { Page as Items, Setting, SettingChange } from "../../base/types.ts";
import { Loaded, Page, Section } from "../../widgets/parts.tsx";
import { History, SettingField } from "../settings/parts.tsx";
import { MailTabs } from "./tabs.tsx";

const NETWORKS = ["mail.networks"];
const RELAY = ["relay.host", "relay.user", "relay.password", "relay.tls", "mail.routes", "sending.tls", "sending.mta-sts", "sending.dane"];
const LIMITS: [Key, string[]][] = [
  ["limits.size", ["mail.message-bytes", "attachments.detach-bytes", "attachments.link-days"]],
  ["limits.users", ["submission.messages-per-hour", "submission.recipients-per-hour"]],
  [
    "limits.clients",
    [
      "mail.client-messages-per-hour",
      "mail.client-recipients-per-hour",
      "session.connections-per-address",
      "session.refused-recipients",
      "mail.greylist",
      "mail.greylist-delay-seconds",
      "mail.greylist-allow",
      "mail.block-lists",
      "mail.block-lists-action",
      "mail.block-lists-score",
    ],
  ],
  [
    "limits.queue",
    ["queue.lifetime-hours", "queue.warn-hours", "queue.retry-seconds", "queue.retry-most-seconds", "queue.parallel", "queue.parallel-per-destination"],
  ],
];

export function NetworksPage() {
  return <Chosen lead="networks.lead" sections={[["networks.title", NETWORKS]]} hints={{ "mail.networks": t("networks.hint") }} />;
}

export function RelayPage() {
  return <Chosen lead="relay.lead" sections={[["relay.title", RELAY]]} />;
}

export function LimitsPage() {
  return <Chosen lead="limits.lead" sections={LIMITS} />;
}

interface Props {
  lead: Key;
  sections: [Key, string[]][];
  hints?: Record<string, string>;
}

function Chosen({ lead, sections, hints = {} }: Props) {
  const settings = useLive<Items<Setting>>("/settings");
  const changes = usePages<SettingChange>("/setting-changes?limit=100");
  const names = sections.flatMap(([, some]) => some);
  const ours = changes.items.filter((change) => names.includes(change.name)).slice(0, 8);
  return (
    <Page title={t("nav.mail")}>
      <MailTabs />
      <p class="lead">{t(lead)}</p>
      <Loaded read={settings}>
        {({ items }) => (
          <>
            {sections.map(([title, some]) => (
              <Section key={title} title={t(title)}>
                {items
                  .filter((setting) => some.includes(setting.name))
                  .map((setting) => (
                    <SettingField key={setting.name} setting={setting} label={known("setting", setting.name)} hint={hints[setting.name]} />
                  ))}
              </Section>
            ))}
          </>
        )}
      </Loaded>
      {ours.length > 0 && (
        <Section title={t("settings.history")}>
          <History changes={ours} />
        </Section>
      )}
    </Page>
  );
}

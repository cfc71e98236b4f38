// Which page is at which path.

import type { ComponentChild } from "preact";
import { t } from "../base/i18n.ts";
import { match, path } from "../base/router.ts";
import { DomainPage } from "../pages/domains/domain.tsx";
import { DomainsPage } from "../pages/domains/list.tsx";
import { JobPage } from "../pages/jobs/job.tsx";
import { JobsPage } from "../pages/jobs/list.tsx";
import { LimitsPage, NetworksPage, RelayPage } from "../pages/mail/chosen.tsx";
import { GreylistPage } from "../pages/mail/greylist.tsx";
import { MaintenancePage } from "../pages/mail/maintenance.tsx";
import { QueuePage } from "../pages/mail/queue.tsx";
import { TracePage } from "../pages/mail/trace.tsx";
import { AuditPage } from "../pages/other/audit.tsx";
import { CertificatesPage } from "../pages/other/certificates.tsx";
import { FirewallPage } from "../pages/other/firewall.tsx";
import { MigrationPage } from "../pages/migration/migration.tsx";
import { UpdatesPage } from "../pages/other/updates.tsx";
import { OverviewPage } from "../pages/overview.tsx";
import { AdministratorsPage } from "../pages/people/administrators.tsx";
import { BinPage } from "../pages/people/bin.tsx";
import { ContactPage } from "../pages/people/contact.tsx";
import { ContactsPage } from "../pages/people/contacts.tsx";
import { GroupPage } from "../pages/people/group.tsx";
import { PeoplePage } from "../pages/people/list.tsx";
import { MePage } from "../pages/people/me.tsx";
import { PersonPage } from "../pages/people/person.tsx";
import { RunPage, SourcePage } from "../pages/people/source.tsx";
import { SourcesPage } from "../pages/people/sources.tsx";
import { JoinPage } from "../pages/servers/join.tsx";
import { ServersPage } from "../pages/servers/list.tsx";
import { RebalancePage } from "../pages/servers/rebalance.tsx";
import { ServerPage } from "../pages/servers/server.tsx";
import { SettingPage } from "../pages/settings/setting.tsx";
import { SettingsPage } from "../pages/settings/list.tsx";
import { Link } from "../widgets/link.tsx";
import { Page } from "../widgets/parts.tsx";

type Values = Record<string, string>;

const ROUTES: [string, (values: Values) => ComponentChild][] = [
  ["/", () => <OverviewPage />],
  ["/people/users", () => <PeoplePage collection="users" />],
  ["/people/users/:id", ({ id = "" }) => <PersonPage key={id} collection="users" id={id} />],
  ["/people/contacts", () => <ContactsPage />],
  ["/people/contacts/:id", ({ id = "" }) => <ContactPage key={id} id={id} />],
  ["/people/groups", () => <PeoplePage collection="groups" />],
  ["/people/groups/:id", ({ id = "" }) => <GroupPage key={id} id={id} />],
  ["/people/shared", () => <PeoplePage collection="accounts" />],
  ["/people/shared/:id", ({ id = "" }) => <PersonPage key={id} collection="accounts" id={id} />],
  ["/people/resources", () => <PeoplePage collection="resources" />],
  ["/people/resources/:id", ({ id = "" }) => <PersonPage key={id} collection="resources" id={id} />],
  ["/people/administrators", () => <AdministratorsPage />],
  ["/people/sources", () => <SourcesPage />],
  ["/people/sources/:name", ({ name = "" }) => <SourcePage key={name} name={name} />],
  ["/people/bin", () => <BinPage />],
  ["/me", () => <MePage />],
  ["/servers", () => <ServersPage />],
  ["/servers/join", () => <JoinPage />],
  ["/servers/rebalance", () => <RebalancePage />],
  ["/servers/:name", ({ name = "" }) => <ServerPage key={name} name={name} />],
  ["/domains", () => <DomainsPage />],
  ["/domains/:name", ({ name = "" }) => <DomainPage key={name} name={name} />],
  ["/mail/queue", () => <QueuePage />],
  ["/mail/trace", () => <TracePage />],
  ["/mail/greylist", () => <GreylistPage />],
  ["/mail/maintenance", () => <MaintenancePage />],
  ["/mail/networks", () => <NetworksPage />],
  ["/mail/relay", () => <RelayPage />],
  ["/mail/limits", () => <LimitsPage />],
  ["/settings", () => <SettingsPage />],
  ["/settings/:name", ({ name = "" }) => <SettingPage key={name} name={name} />],
  ["/jobs", () => <JobsPage />],
  ["/jobs/sources/:run", ({ run = "" }) => <RunPage key={run} run={run} />],
  ["/jobs/:id", ({ id = "" }) => <JobPage key={id} id={id} />],
  ["/audit", () => <AuditPage />],
  ["/certificates", () => <CertificatesPage />],
  ["/firewall", () => <FirewallPage />],
  ["/updates", () => <UpdatesPage />],
  ["/migration", () => <MigrationPage />],
];

export function CurrentPage() {
  for (const [pattern, page] of ROUTES) {
    const values = match(pattern, path.value);
    if (values) return <>{page(values)}</>;
  }
  return (
    <Page title={t("nowhere.title")}>
      <p>{t("nowhere.lead")}</p>
      <p>
        <Link to="/">{t("nav.overview")}</Link>
      </p>
    </Page>
  );
}

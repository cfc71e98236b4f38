// The page whose work is done elsewhere for now: it says what there is, and how it is done meanwhile.

import { t } from "../../base/i18n.ts";
import { Page, Section } from "../../widgets/parts.tsx";

export function MigrationPage() {
  return (
    <Page title={t("nav.migration")} lead={t("migration.lead")}>
      <Section title={t("migration.now")}>
        <p>{t("migration.now-lead")}</p>
        <pre>sterna account move --from OLD --to NEW</pre>
      </Section>
      <Section title={t("migration.files")}>
        <p>{t("migration.files-lead")}</p>
      </Section>
    </Page>
  );
}

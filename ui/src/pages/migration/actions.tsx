// What can be done with a migration as it is. Each is asked for twice; what can't be taken back wants a name to be typed.

import { useState } from "preact/hooks";
import { ask } from "../../base/api.ts";
import { known, t } from "../../base/i18n.ts";
import { changed } from "../../base/live.ts";
import type { Migration, MigrationAction } from "../../base/migration.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { Field } from "../../widgets/field.tsx";

/** What goes over at a pace that can be chosen. */
const PACED: MigrationAction[] = ["switch", "back"];

const DANGER: MigrationAction[] = ["back", "finish", "abort"];

export function Actions({ migration }: { migration: Migration }) {
  const [asked, setAsked] = useState<MigrationAction | null>(null);
  const [pace, setPace] = useState("rolling");
  const { from, to } = migration;
  const act = async (action: MigrationAction): Promise<void> => {
    await ask("PATCH", "/migration", { body: PACED.includes(action) ? { action, pace } : { action } });
    changed("/migration", "/status", "/jobs", "/servers");
  };
  return (
    <>
      {migration.actions.map((action) => (
        <Button key={action} kind={DANGER.includes(action) ? "danger" : "primary"} onPress={() => setAsked(action)}>
          {known("migration-action", action)}…
        </Button>
      ))}
      {asked && (
        <Confirm
          title={known("migration-action", asked)}
          action={known("migration-action", asked)}
          danger={DANGER.includes(asked)}
          name={asked === "finish" ? from.name : undefined}
          onConfirm={() => act(asked)}
          onClose={() => setAsked(null)}
        >
          <p>{t(`migration-asked.${asked}`, { from: from.name, to: to.name })}</p>
          {PACED.includes(asked) && (
            <Field
              spec={{
                name: "pace",
                label: t("migration.pace"),
                kind: "select",
                choices: ["rolling", "at-once"].map((value) => ({ value, label: known("migration-pace", value) })),
              }}
              value={pace}
              onChange={(value) => setPace(String(value))}
            />
          )}
        </Confirm>
      )}
    </>
  );
}

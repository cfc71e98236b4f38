// Directories elsewhere that people come from: LDAP and Active Directory.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { known, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import { go } from "../../base/router.ts";
import type { Page as Items, Source, SourceRun } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Loaded, Page, type Tone } from "../../widgets/parts.tsx";
import { Table } from "../../widgets/table.tsx";
import { done } from "../../widgets/toast.tsx";
import { PeopleTabs } from "./tabs.tsx";

const TONES: Record<string, Tone> = { running: "info", done: "good", held: "attention", failed: "bad", interrupted: "attention" };

export const KINDS = ["open-ldap", "active-directory"];

/** What came of a run. */
export function Outcome({ run }: { run: SourceRun }) {
  return <Badge tone={run.outcome === "done" && run.failed > 0 ? "attention" : TONES[run.outcome]}>{known("run-outcome", run.outcome)}</Badge>;
}

export function SourcesPage() {
  const sources = useLive<Items<Source>>("/sources");
  const [adds, setAdds] = useState(false);
  const actions = (
    <Button kind="primary" icon="plus" onPress={() => setAdds(true)}>
      {t("sources.new")}
    </Button>
  );
  return (
    <Page title={t("nav.people")} lead={t("sources.lead")} actions={actions}>
      <PeopleTabs />
      <Loaded read={sources}>
        {({ items }) => (
          <Table
            caption={t("sources.title")}
            rows={items}
            keyOf={(source) => source.name}
            empty={t("sources.none")}
            columns={[
              { title: t("sources.name"), cell: (source) => <Link to={`/people/sources/${part(source.name)}`}>{source.name}</Link> },
              { title: t("sources.kind"), cell: (source) => known("source-kind", source.kind) },
              { title: t("domain"), cell: (source) => source.domain },
              { title: t("sources.linked"), numeric: true, cell: (source) => String(source.linked) },
              {
                title: t("sources.last-run"),
                cell: (source) =>
                  source.last_run ? (
                    <>
                      <Outcome run={source.last_run} /> {moment(source.last_run.started_at)}
                    </>
                  ) : (
                    "–"
                  ),
              },
            ]}
          />
        )}
      </Loaded>
      {adds && <NewSource onClose={() => setAdds(false)} />}
    </Page>
  );
}

function NewSource({ onClose }: { onClose: () => void }) {
  return (
    <NewDialog
      title={t("sources.new")}
      action={t("create")}
      initial={{ kind: "open-ldap" }}
      onClose={onClose}
      onCreate={async (body) => {
        const { data } = await ask<Source>("POST", "/sources", { body });
        changed("/sources");
        go(`/people/sources/${part(data.name)}`);
        done(t("created", { name: data.name }));
      }}
      fields={[
        { name: "name", label: t("sources.name"), kind: "text", required: true, placeholder: "office" },
        { name: "kind", label: t("sources.kind"), kind: "select", choices: KINDS.map((value) => ({ value, label: known("source-kind", value) })) },
        { name: "domain", label: t("domain"), kind: "text", required: true, placeholder: "example.org" },
        { name: "urls", label: t("sources.urls"), kind: "list", required: true, hint: t("sources.urls-hint") },
        { name: "start_tls", label: t("sources.start-tls"), kind: "toggle" },
        { name: "ca", label: t("sources.ca"), kind: "area", hint: t("sources.ca-hint") },
        { name: "bind_dn", label: t("sources.bind-dn"), kind: "text" },
        { name: "password", label: t("sources.password"), kind: "password", autocomplete: "off" },
        { name: "base", label: t("sources.base"), kind: "text", required: true, placeholder: "ou=people,dc=example,dc=org" },
      ]}
    />
  );
}

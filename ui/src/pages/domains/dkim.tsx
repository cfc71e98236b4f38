// The keys that a domain signs with: made, published in DNS, used, retired, and only then deleted.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { ago, known, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { DkimKey, Page } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Badge, Copyable, Loaded, Section, type Tone } from "../../widgets/parts.tsx";
import { attempt, done } from "../../widgets/toast.tsx";

const STATES: Record<DkimKey["state"], Tone> = { new: "info", active: "good", retired: "plain" };
const PUBLISHED: Record<DkimKey["dns"], Tone> = { published: "good", missing: "bad", differs: "bad", unknown: "attention" };

export function Dkim({ path }: { path: string }) {
  const keys = useLive<Page<DkimKey>>(`${path}/dkim`);
  const [adds, setAdds] = useState(false);
  return (
    <Section
      title={t("dkim.title")}
      lead={t("dkim.lead")}
      actions={
        <Button icon="plus" onPress={() => setAdds(true)}>
          {t("dkim.new")}
        </Button>
      }
    >
      <Loaded read={keys}>
        {({ items }) => (
          <>
            {items.length === 0 && <p class="empty">{t("dkim.none")}</p>}
            {items.map((key) => (
              <KeyLine key={key.selector} dkim={key} path={`${path}/dkim`} />
            ))}
          </>
        )}
      </Loaded>
      {adds && (
        <NewDialog
          title={t("dkim.new")}
          action={t("create")}
          initial={{ algorithm: "ed25519" }}
          onClose={() => setAdds(false)}
          onCreate={async (body) => {
            await ask("POST", `${path}/dkim`, { body });
            changed(`${path}/dkim`);
            done(t("dkim.made"));
            setAdds(false);
          }}
          fields={[
            {
              name: "algorithm",
              label: t("dkim.algorithm"),
              kind: "select",
              choices: [
                { value: "ed25519", label: "Ed25519" },
                { value: "rsa-2048", label: "RSA 2048" },
              ],
            },
            { name: "selector", label: t("dkim.selector"), kind: "text", hint: t("dkim.selector-hint") },
          ]}
        />
      )}
    </Section>
  );
}

function KeyLine({ dkim, path }: { dkim: DkimKey; path: string }) {
  const [deletes, setDeletes] = useState(false);
  const at = `${path}/${part(dkim.selector)}`;
  const set = async (state: DkimKey["state"], unchecked = false): Promise<void> => {
    await ask("PATCH", at, { body: unchecked ? { state, unchecked } : { state } });
    changed(path);
  };
  const press = (state: DkimKey["state"]) => () =>
    attempt(async () => {
      await set(state);
      done(t("dkim.is-now", { selector: dkim.selector, state: known("dkim-state", state) }), () => set(dkim.state, true));
    });
  return (
    <div class="line key">
      <div>
        <p>
          <strong>{dkim.selector}</strong> <span class="soft">{dkim.algorithm}</span>{" "}
          <Badge tone={STATES[dkim.state]}>{known("dkim-state", dkim.state)}</Badge>{" "}
          <Badge tone={PUBLISHED[dkim.dns]}>{known("dkim-dns", dkim.dns)}</Badge>{" "}
          <span class="soft" title={moment(dkim.since)}>
            {ago(dkim.since)}
          </span>
        </p>
        <Copyable text={dkim.record_name} label={t("dns.name")} />
        <Copyable text={dkim.record} label={t("dns.value")} />
      </div>
      <div class="actions">
        {dkim.state !== "active" && <Button onPress={press("active")}>{t("dkim.use")}</Button>}
        {dkim.state === "active" && <Button onPress={press("retired")}>{t("dkim.retire")}</Button>}
        {dkim.state !== "active" && (
          <Button kind="quiet" onPress={() => setDeletes(true)}>
            {t("delete")}
          </Button>
        )}
      </div>
      {deletes && (
        <Confirm
          title={t("delete.title", { name: dkim.selector })}
          action={t("delete")}
          name={dkim.selector}
          danger
          onClose={() => setDeletes(false)}
          onConfirm={async () => {
            await ask("DELETE", at);
            changed(path);
            done(t("deleted", { name: dkim.selector }));
          }}
        >
          <p>{t("dkim.delete")}</p>
        </Confirm>
      )}
    </div>
  );
}

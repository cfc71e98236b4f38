// Settings as they are shown and changed: each with its value, who says so, and the way back.

import { useState } from "preact/hooks";
import { ask, part, query } from "../../base/api.ts";
import { known, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Setting, SettingChange } from "../../base/types.ts";
import { useUnsaved } from "../../base/unsaved.ts";
import { Button } from "../../widgets/button.tsx";
import { Field, type FieldSpec } from "../../widgets/field.tsx";
import { ClashDialog } from "../../widgets/form.tsx";
import { Link } from "../../widgets/link.tsx";
import { useOnce } from "../../widgets/once.tsx";
import { Badge, type Tone } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { asProblem, type Problem } from "../../base/api.ts";

const SOURCES: Record<Setting["from"], Tone> = { default: "plain", system: "info", domain: "good" };

/** Words that settings can have, where they have a choice of few. */
const CHOICES: Record<string, string[]> = {
  "acme.terms": ["agreed"],
  "full-mailbox": ["defer", "refuse"],
  scram: ["off", "keep", "offer"],
  "calendar.mail": ["add", "update", "off"],
  "mta-sts.mode": ["enforce", "testing", "none", "off"],
  "contacts.collect": ["on", "off"],
  "mail.dmarc": ["enforce", "mark", "off"],
  "relay.tls": ["never", "opportunistic", "encrypt", "verify"],
  "sending.tls": ["never", "opportunistic", "encrypt", "verify"],
  "sending.mta-sts": ["on", "off"],
  "sending.dane": ["on", "off"],
  "reports.dmarc": ["on", "off"],
  "reports.tls": ["on", "off"],
  "mail.block-lists-action": ["refuse", "mark"],
  "mail.greylist": ["on", "off"],
  "unknown-recipients-check": ["ask", "accept"],
};

/** Settings that are lists of words with spaces between them. */
const LISTS = ["mail.networks", "mail.block-lists", "mail.arc-trusted", "mail.routes", "mail.greylist-allow", "calendar.external-networks", "discovery.exchangers", "acme.names", "acme.challenges"];

/** Settings that are not shown when they were set. */
const SECRETS = ["relay.password", "oauth.client-secret", "openid.client-secret", "srs.keys", "acme.eab-key"];

export function isSecret(name: string): boolean {
  return SECRETS.includes(name);
}

/** What the API shows for nothing. */
const NOTHING = "none";

export function Source({ setting }: { setting: Setting }) {
  return <Badge tone={SOURCES[setting.from]}>{t(`source.${setting.from}`)}</Badge>;
}

export function shown(value: string | null): string {
  return value === null || value === "" ? "–" : value;
}

/** Writes a setting; null goes back to what holds without it. Says so, with the way back. */
export async function putSetting(setting: Setting, value: string | null, domain?: string, ifMatch: string | null = null): Promise<void> {
  await ask("PATCH", settingPath(setting, domain), { body: { value }, ifMatch });
  const { data } = await ask<{ items: SettingChange[] }>("GET", `/setting-changes${query({ name: setting.name, domain, limit: 1 })}`);
  changed("/setting", "/domains");
  const change = data.items[0];
  done(t("setting.saved", { name: setting.name }), change && (() => revert(change.change)));
}

/** A setting as its field has it. */
function text(setting: Setting): string {
  return setting.value === NOTHING ? "" : (setting.value ?? "");
}

function settingPath(setting: Setting, domain: string | undefined): string {
  return `/settings/${part(setting.name)}${query({ domain })}`;
}

/** Undoes one change of a setting. */
export async function revert(change: number): Promise<void> {
  await ask("POST", "/setting-changes", { body: { revert: change } });
  changed("/setting", "/domains");
}

interface EditProps {
  setting: Setting;
  domain?: string;
  label?: string;
  hint?: string;
}

/** The field of one setting, with its own button: what was typed in one is not sent with another. */
export function SettingField({ setting, domain, label, hint }: EditProps) {
  const before = text(setting);
  const [draft, setDraft] = useState<string | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const isList = LISTS.includes(setting.name);
  const choices = CHOICES[setting.name];
  const value = draft ?? (isSecret(setting.name) ? "" : before);
  const isOurs = setting.from === (domain ? "domain" : "system");
  const spec: FieldSpec = {
    name: setting.name,
    label: label ?? known("setting", setting.name, setting.name),
    kind: choices ? "select" : isList ? "list" : isSecret(setting.name) ? "password" : "text",
    hint: hint ?? (label ? undefined : setting.name),
    choices: choices?.map((choice) => ({ value: choice, label: known("setting-value", choice) })),
    placeholder: setting.default ?? undefined,
  };
  const path = settingPath(setting, domain);
  const now = useLive<Setting>(path);
  /** What was seen when the first letter was typed. */
  const [seen, setSeen] = useState<{ value: string; etag: string | null } | null>(null);
  const [clash, setClash] = useState<{ theirs: string; etag: string | null } | null>(null);
  const [busy, once] = useOnce();
  useUnsaved(draft !== null);
  const forget = (): void => {
    setDraft(null);
    setSeen(null);
    setClash(null);
  };
  const write = async (wanted: string | null, tag: string | null): Promise<void> => {
    setProblem(null);
    try {
      await putSetting(setting, wanted, domain, tag);
      forget();
    } catch (error) {
      const found = asProblem(error);
      const current = found.status === 412 ? await ask<Setting>("GET", path).catch(() => null) : null;
      if (current) setClash({ theirs: current.data.value ?? "", etag: current.etag });
      else setProblem(found);
    }
  };
  const wanted = draft?.trim() ? draft.trim() : null;
  /** Something was typed before its version was known: what is there now is looked at first. */
  const writeUnseen = async (): Promise<void> => {
    setProblem(null);
    try {
      const current = await ask<Setting>("GET", path);
      if (text(current.data) === (seen?.value ?? before)) await write(wanted, current.etag);
      else setClash({ theirs: current.data.value ?? "", etag: current.etag });
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    if (draft !== null) void once(() => (seen?.etag ? write(wanted, seen.etag) : writeUnseen()));
  };
  return (
    <form class="setting" onSubmit={submit}>
      <Field
        spec={spec}
        value={isList ? value.split(/\s+/).filter((word) => word !== "") : value}
        onChange={(next) => {
          const typed = Array.isArray(next) ? next.join(" ") : String(next ?? "");
          // Its value and its version are those of one answer, whatever the list said before.
          const isSame = now.data !== undefined && now.data !== null && text(now.data) === before;
          if (!seen) setSeen({ value: before, etag: isSame ? now.etag : null });
          setDraft(typed === before ? null : typed);
        }}
      />
      {problem && <ProblemBox problem={problem} />}
      <div class="actions">
        <Source setting={setting} />
        {isOurs && <Button onPress={() => write(null, now.etag)}>{t(domain ? "setting.to-system" : "setting.to-default")}</Button>}
        {draft !== null && (
          <>
            <Button onPress={forget}>{t("discard")}</Button>
            <Button type="submit" kind="primary" busy={busy}>
              {t("save")}
            </Button>
          </>
        )}
      </div>
      {clash && (
        <ClashDialog
          fields={[spec]}
          clashes={[{ name: spec.name, before: seen?.value ?? before, theirs: clash.theirs, ours: wanted }]}
          onOurs={() => {
            setClash(null);
            void once(() => write(wanted, clash.etag));
          }}
          onTheirs={() => {
            forget();
            changed("/setting");
          }}
          onClose={() => setClash(null)}
        />
      )}
    </form>
  );
}

/** Settings one below the other, each opened to be changed. */
export function SettingList({ settings, domain }: { settings: Setting[]; domain?: string }) {
  const [open, setOpen] = useState<string | null>(null);
  return (
    <ul class="settings">
      {settings.map((setting) => (
        <li key={setting.name}>
          {open === setting.name ? (
            <SettingField setting={setting} domain={domain} />
          ) : (
            <div class="line">
              <div>
                <Link to={`/settings/${part(setting.name)}${query({ domain })}`}>{known("setting", setting.name)}</Link>
                <p class="soft">
                  <code>{setting.name}</code>
                </p>
              </div>
              <div class="value">
                <span>{isSecret(setting.name) && setting.from !== "default" ? "••••" : shown(setting.value)}</span> <Source setting={setting} />
              </div>
            </div>
          )}
          <Button kind="quiet" label={t("edit.what", { what: setting.name })} onPress={() => setOpen(open === setting.name ? null : setting.name)}>
            {t(open === setting.name ? "close" : "edit")}
          </Button>
        </li>
      ))}
    </ul>
  );
}

/** Changes of settings, each with the way back. */
export function History({ changes }: { changes: SettingChange[] }) {
  const undo = (change: SettingChange) => () =>
    attempt(async () => {
      await revert(change.change);
      done(t("setting.reverted", { name: change.name }));
    });
  return (
    <ul class="history">
      {changes.map((change) => (
        <li key={change.change}>
          <HistoryLine change={change} onUndo={undo(change)} />
        </li>
      ))}
    </ul>
  );
}

function HistoryLine({ change, onUndo }: { change: SettingChange; onUndo: () => unknown }) {
  const when = new Date(change.at);
  return (
    <div class="line">
      <div>
        <p>
          <Link to={`/settings/${part(change.name)}${query({ domain: change.domain })}`}>{change.name}</Link>
          {change.domain && <Badge>{change.domain}</Badge>}
        </p>
        <p class="change">
          <del>{shown(change.before)}</del> → <ins>{shown(change.after)}</ins>
        </p>
        <p class="soft">
          <time dateTime={change.at}>{when.toLocaleString(document.documentElement.lang)}</time> · {change.by || "–"}
          {change.reverts !== null && <> · {t("setting.undid", { change: change.reverts })}</>}
        </p>
      </div>
      <Button onPress={onUndo}>{t("undo")}</Button>
    </div>
  );
}

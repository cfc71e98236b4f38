// Delegation: who may do what with the mailboxes, calendars, address books and files of an account.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { known, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { AclEntry, Page } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Badge, Loaded, Section } from "../../widgets/parts.tsx";
import { attempt, done } from "../../widgets/toast.tsx";

/** Letters of RFC 4314 that the words stand for where they are mailboxes. */
const MAILBOX_RIGHTS: Record<string, string> = { read: "lrs", write: "lrswipkte", manage: "lrswipkxtea" };

/** How the API names what rights are given on. */
const TARGETS: Record<AclEntry["kind"], string> = {
  mailbox: "mailbox",
  calendar: "calendar",
  tasks: "calendar",
  notes: "calendar",
  "address-book": "address_book",
  folder: "folder",
};

/** Entries that are shown until all are asked for. */
const SHOWN_MAX = 8;

export function Rights({ account }: { account: number }) {
  const path = `/accounts/${part(account)}/acl`;
  const rights = useLive<Page<AclEntry>>(path);
  const [adds, setAdds] = useState(false);
  const [all, setAll] = useState(false);
  return (
    <Section
      title={t("rights.title")}
      lead={t("rights.lead")}
      actions={
        <Button icon="plus" onPress={() => setAdds(true)}>
          {t("rights.new")}
        </Button>
      }
    >
      <Loaded read={rights}>
        {({ items }) => (
          <>
            {items.length === 0 && <p class="empty">{t("rights.none")}</p>}
            {items.slice(0, all ? items.length : SHOWN_MAX).map((entry) => (
              <RightLine key={`${entry.kind} ${entry.mailbox} ${entry.identifier}`} entry={entry} path={path} />
            ))}
            {!all && items.length > SHOWN_MAX && <Button onPress={() => setAll(true)}>{t("more")}</Button>}
          </>
        )}
      </Loaded>
      {adds && <NewRight path={path} onClose={() => setAdds(false)} />}
    </Section>
  );
}

function RightLine({ entry, path }: { entry: AclEntry; path: string }) {
  const set = async (rights: string): Promise<void> => {
    const body = { identifier: entry.identifier, rights, [TARGETS[entry.kind]]: entry.mailbox };
    await ask("PATCH", path, { body });
    changed(path);
  };
  const remove = (): Promise<boolean> =>
    attempt(async () => {
      await set("");
      done(t("rights.removed", { name: entry.identifier }), () => set(entry.rights));
    });
  return (
    <div class="line">
      <div>
        <strong>{entry.identifier}</strong>{" "}
        <span class="soft">
          {known("acl-kind", entry.kind)} · {entry.mailbox}
        </span>
        <p class="soft">
          <Badge>{inWords(entry)}</Badge> <code>{entry.rights}</code>
        </p>
      </div>
      <Button kind="quiet" icon="close" label={t("remove.what", { what: entry.identifier })} onPress={remove} />
    </div>
  );
}

function inWords(entry: AclEntry): string {
  const has = (letter: string): boolean => entry.rights.includes(letter);
  if (entry.identifier.startsWith("-")) return t("rights.denied");
  if (has("a")) return t("rights.manage");
  if (has("i") || has("w")) return t("rights.write");
  if (has("r")) return t("rights.read");
  return has("9") ? t("rights.freebusy") : t("rights.some");
}

function NewRight({ path, onClose }: { path: string; onClose: () => void }) {
  const create = async (body: Record<string, unknown>): Promise<void> => {
    const { target, name, ...rest } = body as Record<string, string>;
    const isMailbox = target === "mailbox";
    const rights = isMailbox ? (MAILBOX_RIGHTS[rest.rights ?? ""] ?? rest.rights) : rest.rights;
    // A mailbox without a name is all of them.
    const where = name ? { [target ?? "mailbox"]: name } : {};
    await ask("PATCH", path, { body: { identifier: rest.identifier, rights, ...where } });
    changed(path);
    done(t("rights.given", { name: rest.identifier ?? "" }));
    onClose();
  };
  return (
    <NewDialog
      title={t("rights.new")}
      action={t("rights.give")}
      initial={{ target: "mailbox", rights: "read" }}
      onCreate={create}
      onClose={onClose}
      fields={[
        { name: "identifier", label: t("rights.who"), kind: "text", required: true, hint: t("rights.who-hint") },
        {
          name: "target",
          label: t("rights.on"),
          kind: "select",
          choices: [
            { value: "mailbox", label: known("acl-kind", "mailbox") },
            { value: "calendar", label: known("acl-kind", "calendar") },
            { value: "address_book", label: known("acl-kind", "address-book") },
            { value: "folder", label: known("acl-kind", "folder") },
          ],
        },
        { name: "name", label: t("rights.name"), kind: "text", hint: t("rights.name-hint") },
        {
          name: "rights",
          label: t("rights.rights"),
          kind: "select",
          choices: [
            { value: "read", label: t("rights.read") },
            { value: "write", label: t("rights.write") },
            { value: "manage", label: t("rights.manage") },
          ],
        },
      ]}
    />
  );
}

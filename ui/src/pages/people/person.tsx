// One person on one page: addresses, quota, forwarding, place and moves, filters, rights. Shared mailboxes and
// resources have the same page, without a log-in and with rules of booking.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { bytes, count, moment, t } from "../../base/i18n.ts";
import { changed, deleting, useLive } from "../../base/live.ts";
import { go } from "../../base/router.ts";
import type { Binned, Entry } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import type { FieldSpec } from "../../widgets/field.tsx";
import { EditForm } from "../../widgets/form.tsx";
import { Badge, Facts, Loaded, Page, Section, Usage } from "../../widgets/parts.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { restore } from "./bin.tsx";
import { resourceFields } from "./create.tsx";
import { Devices } from "./devices.tsx";
import { Grants } from "./grants.tsx";
import { Password } from "./password.tsx";
import { type Collection, COLLECTIONS, apiPath, nameOf } from "./paths.ts";
import { Placement } from "./placement.tsx";
import { Rights } from "./rights.tsx";
import { Scripts } from "./scripts.tsx";
import { SudoOf } from "./sudo.tsx";

interface Props {
  collection: Exclude<Collection, "groups">;
  id: string;
}

export function PersonPage({ collection, id }: Props) {
  const path = apiPath(collection, id);
  const read = useLive<Entry>(path);
  const entry = read.data;
  const { to, title } = COLLECTIONS[collection];
  return (
    <Page
      title={entry ? nameOf(entry) : t(title)}
      up={{ to, title: t(title) }}
      lead={entry && <Marks entry={entry} />}
      actions={entry && <EntryActions collection={collection} entry={entry} etag={read.etag} />}
    >
      <Loaded read={read}>
        {(data) => (
          <div class="columns">
            <div>
              <Section title={t("people.identity")}>
                <EditForm path={path} name={nameOf(data)} data={data} etag={read.etag} fields={identity(data)} also={[`/${collection}`]} />
              </Section>
              {data.kind === "resource" && (
                <Section title={t("resource.rules")}>
                  <EditForm path={path} name={nameOf(data)} data={data} etag={read.etag} fields={resourceFields()} />
                </Section>
              )}
              <Section title={t("forward.title")} lead={t("forward.lead")}>
                <EditForm path={path} name={nameOf(data)} data={data} etag={read.etag} fields={forwarding()} />
              </Section>
              {data.kind === "user" && <Password entry={data} path={path} etag={read.etag} />}
              {data.kind === "user" && <Devices user={data} />}
              {data.kind === "user" && <SudoOf user={data} />}
            </div>
            <div>
              <Section title={t("people.room")}>
                <Room entry={data} />
                <EditForm
                  path={path}
                  name={nameOf(data)}
                  data={data}
                  etag={read.etag}
                  fields={[{ name: "quota_bytes", label: t("quota"), kind: "bytes", hint: t("people.quota-hint") }]}
                />
              </Section>
              <Placement entry={data} />
              <Scripts account={data.id} />
              <Rights account={data.id} />
              {data.kind === "user" && <Grants user={data} />}
            </div>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

/** The address, and what is not as usual. */
export function Marks({ entry }: { entry: Entry }) {
  return (
    <>
      {entry.address} {entry.suspended && <Badge tone="attention">{t("suspended")}</Badge>}{" "}
      {entry.admin && <Badge tone="info">{t("user.admin-short")}</Badge>} {entry.hidden && <Badge>{t("hidden")}</Badge>}
    </>
  );
}

function identity(entry: Entry): FieldSpec[] {
  const fields: FieldSpec[] = [
    { name: "display_name", label: t("people.name"), kind: "text" },
    { name: "address", label: t("people.address"), kind: "text", required: true },
    { name: "aliases", label: t("people.aliases"), kind: "list", hint: t("people.aliases-hint") },
  ];
  if (entry.kind === "user") {
    fields.push(
      { name: "login", label: t("user.login"), kind: "text", nullable: true, placeholder: entry.address, hint: t("user.login-hint") },
      { name: "admin", label: t("user.admin"), kind: "toggle", hint: t("user.admin-hint") },
    );
  }
  fields.push(
    { name: "unit", label: t("people.unit"), kind: "text", hint: t("people.unit-hint") },
    { name: "senders", label: t("people.senders"), kind: "list", hint: t("people.senders-hint") },
    { name: "hidden", label: t("people.hidden"), kind: "toggle" },
  );
  return fields;
}

function forwarding(): FieldSpec[] {
  return [
    { name: "forward_to", label: t("forward.to"), kind: "list" },
    { name: "forward_only", label: t("forward.only"), kind: "toggle", hint: t("forward.only-hint") },
  ];
}

/** How full the mailbox is. */
function Room({ entry }: { entry: Entry }) {
  if (entry.used_bytes === null || entry.used_bytes === undefined) return <p class="soft">{t("people.usage-unknown")}</p>;
  return (
    <>
      {entry.quota_bytes ? (
        <Usage used={entry.used_bytes} of={entry.quota_bytes} label={t("people.room")} />
      ) : (
        <p>
          <strong>{bytes(entry.used_bytes)}</strong>
        </p>
      )}
      <Facts
        items={[
          [t("people.items"), count("people.messages", entry.used_items ?? 0)],
          [t("people.since"), moment(entry.created_at)],
        ]}
      />
    </>
  );
}

interface ActionProps {
  collection: Collection;
  entry: Entry;
  etag: string | null;
}

/** Suspending, which can be taken back, and deleting, which asks for the name. */
export function EntryActions({ collection, entry, etag }: ActionProps) {
  const [deletes, setDeletes] = useState(false);
  const path = apiPath(collection, entry.id);
  const suspend = async (suspended: boolean): Promise<void> => {
    await ask("PATCH", path, { body: { suspended } });
    changed(path, `/${collection}`);
  };
  const press = (): Promise<boolean> =>
    attempt(async () => {
      await suspend(!entry.suspended);
      done(t(entry.suspended ? "resumed" : "suspended-now", { name: nameOf(entry) }), () => suspend(entry.suspended));
    });
  return (
    <>
      <Button onPress={press}>{t(entry.suspended ? "resume" : "suspend")}</Button>
      <Button kind="danger" onPress={() => setDeletes(true)}>
        {t("delete")}
      </Button>
      {deletes && (
        <Confirm
          title={t("delete.title", { name: nameOf(entry) })}
          action={t("delete")}
          danger
          onClose={() => setDeletes(false)}
          onConfirm={async () => {
            const paths = [path, `/accounts/${part(entry.id)}`];
            const answer = await deleting(paths, () => ask<Binned | null>("DELETE", path, { ifMatch: etag }));
            go(COLLECTIONS[collection].to);
            changed(`/${collection}`, "/bin", "/status");
            const name = nameOf(entry);
            if (answer.data) done(t("bin.put", { name }), () => restore(entry.id));
            else done(t("deleted", { name }));
          }}
        >
          <p>{t(entry.kind === "group" ? "delete.group" : "delete.account")}</p>
          {entry.kind !== "group" && <p class="soft">{t("delete.rather-suspend")}</p>}
        </Confirm>
      )}
    </>
  );
}

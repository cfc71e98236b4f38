// One group: its addresses and rules, and who is in it.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { count, t } from "../../base/i18n.ts";
import { changed, useLive, usePages } from "../../base/live.ts";
import type { Entry, Member } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Field, type FieldSpec } from "../../widgets/field.tsx";
import { EditForm } from "../../widgets/form.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Loaded, Page, Section } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { More, Table } from "../../widgets/table.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { groupFields } from "./create.tsx";
import { nameOf, pathOf } from "./paths.ts";
import { EntryActions, Marks } from "./person.tsx";

export function GroupPage({ id }: { id: string }) {
  const path = `/groups/${part(id)}`;
  const read = useLive<Entry>(path);
  const fields: FieldSpec[] = [
    { name: "display_name", label: t("people.name"), kind: "text" },
    { name: "address", label: t("people.address"), kind: "text", required: true },
    { name: "aliases", label: t("people.aliases"), kind: "list", hint: t("people.aliases-hint") },
    ...groupFields(),
    { name: "senders", label: t("people.senders"), kind: "list", hint: t("people.senders-hint") },
    { name: "hidden", label: t("people.hidden"), kind: "toggle" },
  ];
  return (
    <Page
      title={read.data ? nameOf(read.data) : t("people.groups")}
      up={{ to: "/people/groups", title: t("people.groups") }}
      lead={read.data && <Marks entry={read.data} />}
      actions={read.data && <EntryActions collection="groups" entry={read.data} etag={read.etag} />}
    >
      <Loaded read={read}>
        {(data) => (
          <div class="columns">
            <Section title={t("people.identity")}>
              <EditForm path={path} name={nameOf(data)} data={data} etag={read.etag} fields={fields} also={["/groups"]} />
            </Section>
            <Members path={path} />
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function Members({ path }: { path: string }) {
  const members = usePages<Member>(`${path}/members?limit=100`);
  const [added, setAdded] = useState<string[]>([]);
  const [chosen, setChosen] = useState(new Set<string>());
  const change = async (add: string[], remove: string[]): Promise<void> => {
    await ask("PATCH", `${path}/members`, { body: { add, remove } });
    members.reload();
    changed(path);
  };
  const add = (): Promise<boolean> =>
    attempt(async () => {
      await change(added, []);
      done(count("group.added", added.length), () => change([], added));
      setAdded([]);
    });
  const remove = (): Promise<boolean> =>
    attempt(async () => {
      const gone = [...chosen];
      await change([], gone);
      done(count("group.removed", gone.length), () => change(gone, []));
      setChosen(new Set());
    });
  return (
    <Section title={t("group.members")}>
      <Field
        spec={{ name: "add", label: t("group.add"), kind: "list", hint: t("group.members-hint") }}
        value={added}
        onChange={(value) => setAdded(value as string[])}
      />
      <div class="actions">
        <Button kind="primary" disabled={added.length === 0} onPress={add}>
          {t("group.add")}
        </Button>
        <Button disabled={chosen.size === 0} onPress={remove}>
          {t("group.remove")}
        </Button>
      </div>
      {members.problem && <ProblemBox problem={members.problem} onRetry={members.reload} />}
      <Table
        caption={t("group.members")}
        rows={members.items}
        keyOf={(member) => member.address || String(member.id ?? "")}
        chosen={chosen}
        onChoose={setChosen}
        empty={members.loading ? t("loading") : t("group.empty")}
        columns={[
          {
            title: t("people.address"),
            cell: (member) =>
              member.id && member.kind !== "gone" && member.kind !== "external" && member.kind !== "contact" ? (
                <Link to={pathOf({ id: member.id, kind: member.kind })}>{member.address}</Link>
              ) : member.kind === "contact" ? (
                <Link to={`/people/contacts?text=${part(member.address)}`}>{member.address}</Link>
              ) : (
                member.address
              ),
          },
          { title: t("kind"), cell: (member) => <Badge>{t(`kind.${member.kind}`)}</Badge> },
        ]}
      />
      <More more={members.more} loading={members.loading} />
    </Section>
  );
}

// One external contact: what is known of the person, and the groups that it is in.

import { useState } from "preact/hooks";
import { ask, part } from "../../base/api.ts";
import { moment, t } from "../../base/i18n.ts";
import { changed, deleting, useLive } from "../../base/live.ts";
import { go } from "../../base/router.ts";
import type { Contact } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { EditForm } from "../../widgets/form.tsx";
import { Link } from "../../widgets/link.tsx";
import { Facts, Loaded, Page, Section } from "../../widgets/parts.tsx";
import { done } from "../../widgets/toast.tsx";
import { CONTACTS, contactFields, contactName, contactPath } from "./contacts.tsx";

export function ContactPage({ id }: { id: string }) {
  const path = `/contacts/${part(id)}`;
  const read = useLive<Contact>(path);
  const unit = { name: "unit", label: t("people.unit"), kind: "text", hint: t("people.unit-hint") } as const;
  return (
    <Page
      title={read.data ? contactName(read.data) : t("contacts.title")}
      up={{ to: CONTACTS, title: t("contacts.title") }}
      lead={read.data?.address}
      actions={read.data && <DeleteContact contact={read.data} path={path} etag={read.etag} />}
    >
      <Loaded read={read}>
        {(data) => (
          <div class="columns">
            <Section title={t("people.identity")}>
              <EditForm
                path={path}
                name={contactName(data)}
                data={data}
                etag={read.etag}
                fields={[...contactFields(), unit]}
                also={["/contacts", "/groups"]}
              />
            </Section>
            <Section title={t("contacts.groups")} lead={t("contacts.groups-lead")}>
              {data.groups?.length ? (
                <ul>
                  {data.groups.map((group) => (
                    <li key={group}>
                      <Link to={`/people/groups/${part(group)}`}>{group}</Link>
                    </li>
                  ))}
                </ul>
              ) : (
                <p class="soft">{t("contacts.no-groups")}</p>
              )}
              <Facts
                items={[
                  [t("domain"), data.domain],
                  [t("people.since"), moment(data.created_at)],
                  [t("contacts.mail"), <Link to={`/mail/trace?text=${part(data.address)}`}>{t("contacts.trace")}</Link>],
                ]}
              />
            </Section>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

interface DeleteProps {
  contact: Contact;
  path: string;
  etag: string | null;
}

/** There is no mailbox to lose: what is deleted is made again, and put into its groups again, as long as it is told. */
function DeleteContact({ contact, path, etag }: DeleteProps) {
  const [asks, setAsks] = useState(false);
  const again = async (groups: string[]): Promise<void> => {
    const { address, domain, display_name, organisation, phone, note, unit } = contact;
    const body = { address, domain, display_name, organisation, phone, note, unit };
    const { data } = await ask<Contact>("POST", "/contacts", { body });
    for (const group of groups) await ask("PATCH", `/groups/${part(group)}/members`, { body: { add: [address], remove: [] } });
    changed("/contacts", "/groups");
    go(contactPath(data));
  };
  const remove = async (): Promise<void> => {
    const { data } = await ask<Contact>("GET", path);
    await deleting([path], () => ask("DELETE", path, { ifMatch: etag }));
    go(CONTACTS);
    changed("/contacts", "/groups");
    done(t("deleted", { name: contactName(contact) }), () => again(data.groups ?? []));
  };
  return (
    <>
      <Button kind="danger" onPress={() => setAsks(true)}>
        {t("delete")}
      </Button>
      {asks && (
        <Confirm
          title={t("delete.title", { name: contactName(contact) })}
          action={t("delete")}
          danger
          onClose={() => setAsks(false)}
          onConfirm={remove}
        >
          <p>{t("contacts.delete")}</p>
        </Confirm>
      )}
    </>
  );
}

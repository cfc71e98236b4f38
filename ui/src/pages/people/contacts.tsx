// External contacts: people outside whom a domain keeps in its address book and in its groups.

import { ask, part, query } from "../../base/api.ts";
import type { Values } from "../../base/draft.ts";
import { t } from "../../base/i18n.ts";
import { changed, deleting, useLive, usePages } from "../../base/live.ts";
import { go, parameters, setParameter } from "../../base/router.ts";
import type { Contact, Domain, Page as Items } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import type { FieldSpec } from "../../widgets/field.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { Link } from "../../widgets/link.tsx";
import { Page } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { More, Table } from "../../widgets/table.tsx";
import { done } from "../../widgets/toast.tsx";
import { Filters } from "./list.tsx";
import { PeopleTabs } from "./tabs.tsx";

export const CONTACTS = "/people/contacts";

export function contactName(contact: Contact): string {
  return contact.display_name || contact.address;
}

export function contactPath(contact: { id: number }): string {
  return `${CONTACTS}/${part(contact.id)}`;
}

/** What a contact says of the person. */
export function contactFields(): FieldSpec[] {
  return [
    { name: "display_name", label: t("people.name"), kind: "text" },
    { name: "address", label: t("people.address"), kind: "text", required: true, hint: t("contacts.address-hint") },
    { name: "organisation", label: t("contacts.organisation"), kind: "text" },
    { name: "phone", label: t("contacts.phone"), kind: "text" },
    { name: "note", label: t("contacts.note"), kind: "text" },
  ];
}

export function ContactsPage() {
  const domain = parameters.value.get("domain") ?? "";
  const text = parameters.value.get("text") ?? "";
  const domains = useLive<Items<Domain>>("/domains").data?.items ?? [];
  const contacts = usePages<Contact>(`/contacts${query({ limit: 100, domain, text })}`);
  const isNew = parameters.value.get("new") === "1";
  return (
    <Page
      title={t("nav.people")}
      lead={t("contacts.lead")}
      actions={
        <Button kind="primary" icon="plus" onPress={() => setParameter("new", "1")}>
          {t("contacts.new")}
        </Button>
      }
    >
      <PeopleTabs />
      <Filters domains={domains} domain={domain} text={text} />
      {contacts.problem && <ProblemBox problem={contacts.problem} onRetry={contacts.reload} />}
      <Table
        caption={t("contacts.title")}
        rows={contacts.items}
        keyOf={(contact) => String(contact.id)}
        nameOf={contactName}
        empty={contacts.loading ? t("loading") : t(text || domain ? "people.none-found" : "people.none")}
        columns={[
          {
            title: t("people.name"),
            cell: (contact) => (
              <>
                <Link to={contactPath(contact)}>{contactName(contact)}</Link>
                {contact.display_name && <p class="soft">{contact.address}</p>}
              </>
            ),
          },
          { title: t("contacts.organisation"), cell: (contact) => contact.organisation || "–" },
          { title: t("contacts.phone"), cell: (contact) => contact.phone || "–" },
          { title: t("domain"), cell: (contact) => contact.domain },
        ]}
      />
      <More more={contacts.more} loading={contacts.loading} />
      {isNew && domains.length > 0 && <CreateContact domains={domains} domain={domain} onClose={() => setParameter("new", "")} />}
    </Page>
  );
}

interface CreateProps {
  domains: Domain[];
  domain: string;
  onClose: () => void;
}

function CreateContact({ domains, domain, onClose }: CreateProps) {
  const create = async (body: Values): Promise<void> => {
    const { data } = await ask<Contact>("POST", "/contacts", { body });
    const path = `/contacts/${part(data.id)}`;
    changed("/contacts");
    go(contactPath(data));
    done(t("created", { name: contactName(data) }), async () => {
      await deleting([path], () => ask("DELETE", path));
      changed("/contacts");
      go(CONTACTS);
    });
  };
  const keeper: FieldSpec = {
    name: "domain",
    label: t("domain"),
    kind: "select",
    choices: domains.map((one) => ({ value: one.name, label: one.name })),
    hint: t("contacts.domain-hint"),
  };
  return (
    <NewDialog
      title={t("contacts.new")}
      action={t("create")}
      initial={{ domain: domain || domains[0]?.name || "" }}
      fields={[...contactFields(), keeper]}
      onCreate={create}
      onClose={onClose}
    />
  );
}

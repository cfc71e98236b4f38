// What the search box finds: pages, people, domains, servers, settings; and the way to the messages.

import { ask, part, query } from "../base/api.ts";
import { known, t } from "../base/i18n.ts";
import type { Contact, Domain, Entry, Page, Server, Setting } from "../base/types.ts";
import type { IconName } from "../widgets/icon.tsx";
import { contactPath } from "../pages/people/contacts.tsx";
import { pathOf } from "../pages/people/paths.ts";
import { PLACES } from "./navigation.tsx";

/** Of each sort at most this many. */
const SHOWN_MAX = 6;

export interface Find {
  id: string;
  icon: IconName;
  title: string;
  note: string;
  to: string;
}

/** The pages whose names have what was typed; all of them while nothing was. */
export function pages(text: string): Find[] {
  const more: [string, string, IconName][] = [
    ["/people/groups", t("people.groups"), "group"],
    ["/people/shared", t("people.shared"), "mail"],
    ["/people/resources", t("people.resources"), "room"],
    ["/people/contacts", t("contacts.title"), "people"],
    ["/people/contacts?new=1", t("contacts.new"), "plus"],
    ["/people/administrators", t("people.administrators"), "people"],
    ["/people/bin", t("bin.title"), "people"],
    ["/me", t("me.title"), "people"],
    ["/people/users?new=1", t("users.new"), "plus"],
    ["/servers/join", t("join.title"), "plus"],
    ["/servers/rebalance", t("rebalance.title"), "servers"],
    ["/mail/trace", t("trace.title"), "search"],
    ["/mail/greylist", t("greylist.title"), "mail"],
    ["/mail/maintenance", t("maintenance.title"), "mail"],
    ["/mail/networks", t("networks.title"), "mail"],
    ["/mail/relay", t("relay.title"), "mail"],
    ["/mail/limits", t("limits.title"), "mail"],
  ];
  const all: Find[] = [
    ...PLACES.map((place) => ({ id: place.to, icon: place.icon, title: t(place.title), note: t("find.page"), to: place.to })),
    ...more.map(([to, title, icon]) => ({ id: to, icon, title, note: t("find.page"), to })),
  ];
  return all.filter((find) => has(find.title, text)).slice(0, text === "" ? PLACES.length : SHOWN_MAX);
}

/** Everything that has what was typed; what can't be asked is left out. */
export async function found(text: string, signal: AbortSignal): Promise<Find[]> {
  const entries = query({ text, limit: SHOWN_MAX });
  const [users, groups, accounts, contacts, domains, servers, settings] = await Promise.all([
    items<Entry>(`/users${entries}`, signal),
    items<Entry>(`/groups${entries}`, signal),
    items<Entry>(`/accounts${entries}`, signal),
    items<Contact>(`/contacts${entries}`, signal),
    items<Domain>("/domains", signal),
    items<Server>("/servers", signal),
    items<Setting>("/settings", signal),
  ]);
  const people = [...users, ...groups, ...accounts].map((entry) => ({
    id: String(entry.id),
    icon: (entry.kind === "group" ? "group" : entry.kind === "resource" ? "room" : "people") as IconName,
    title: entry.display_name || entry.address,
    note: entry.display_name ? entry.address : t(`kind.${entry.kind}`),
    to: pathOf(entry),
  }));
  const outside = contacts.map((contact) => ({
    id: String(contact.id),
    icon: "people" as IconName,
    title: contact.display_name || contact.address,
    note: contact.display_name ? contact.address : t("kind.contact"),
    to: contactPath(contact),
  }));
  const named = domains.filter((domain) => [domain.name, ...domain.aliases].some((name) => has(name, text)));
  const machines = servers.filter((server) => has(server.name, text) || has(server.address, text));
  const values = settings.filter((setting) => has(setting.name, text) || has(known("setting", setting.name, ""), text));
  return [
    ...named.slice(0, SHOWN_MAX).map((domain) => find("domains", domain.name, t("find.domain"), `/domains/${part(domain.name)}`)),
    ...machines.slice(0, SHOWN_MAX).map((server) => find("servers", server.name, t("find.server"), `/servers/${part(server.name)}`)),
    ...[...people, ...outside].slice(0, SHOWN_MAX * 2),
    ...values.slice(0, SHOWN_MAX).map((setting) => {
      return find("settings", setting.name, known("setting", setting.name, t("find.setting")), `/settings/${part(setting.name)}`);
    }),
    find("search", t("find.messages", { text }), t("find.message"), `/mail/trace${query({ text })}`),
  ];
}

function find(icon: IconName, title: string, note: string, to: string): Find {
  return { id: to, icon, title, note, to };
}

function has(text: string, wanted: string): boolean {
  return text.toLowerCase().includes(wanted.toLowerCase());
}

async function items<T>(path: string, signal: AbortSignal): Promise<T[]> {
  try {
    return (await ask<Page<T>>("GET", path, { signal })).data.items;
  } catch {
    return [];
  }
}

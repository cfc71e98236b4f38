// Where people and what belongs to them are, in the console and in the API.

import { part } from "../../base/api.ts";
import type { Key } from "../../base/i18n.ts";
import type { Entry, EntryKind } from "../../base/types.ts";

export type Collection = "users" | "groups" | "accounts" | "resources";

const PAGES: Record<EntryKind, string> = { user: "users", group: "groups", shared: "shared", resource: "resources" };

/** The page of an entry. */
export function pathOf(entry: { id: number; kind: EntryKind }): string {
  return `/people/${PAGES[entry.kind]}/${part(entry.id)}`;
}

/** The page of a collection, and its title. */
export const COLLECTIONS: Record<Collection, { to: string; title: Key; create: Key }> = {
  users: { to: "/people/users", title: "people.users", create: "users.new" },
  groups: { to: "/people/groups", title: "people.groups", create: "groups.new" },
  accounts: { to: "/people/shared", title: "people.shared", create: "shared.new" },
  resources: { to: "/people/resources", title: "people.resources", create: "resources.new" },
};

/** Where an entry is in the API: rooms are accounts there. */
export function apiPath(collection: Collection, id: string | number): string {
  return `/${collection === "resources" ? "accounts" : collection}/${part(id)}`;
}

export function nameOf(entry: Entry): string {
  return entry.display_name || entry.address;
}

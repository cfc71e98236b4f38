// A new user, group, shared mailbox or resource.

import { ask } from "../../base/api.ts";
import { t } from "../../base/i18n.ts";
import { changed, deleting, useLive } from "../../base/live.ts";
import { go } from "../../base/router.ts";
import type { Domain, Entry, Page, Server } from "../../base/types.ts";
import type { Values } from "../../base/draft.ts";
import type { FieldSpec } from "../../widgets/field.tsx";
import { NewDialog } from "../../widgets/form.tsx";
import { done } from "../../widgets/toast.tsx";
import { type Collection, COLLECTIONS, apiPath, nameOf, pathOf } from "./paths.ts";

export function CreateEntry({ collection, onClose }: { collection: Collection; onClose: () => void }) {
  const domains = useLive<Page<Domain>>("/domains").data?.items ?? [];
  const servers = useLive<Page<Server>>("/servers").data?.items ?? [];
  const create = async (body: Values): Promise<void> => {
    const { data } = await ask<Entry>("POST", `/${collection}`, { body });
    changed(`/${collection}`, "/status");
    go(pathOf(data));
    done(t("created", { name: nameOf(data) }), async () => {
      const paths = [apiPath(collection, data.id), `/accounts/${data.id}`];
      await deleting(paths, () => ask("DELETE", apiPath(collection, data.id)));
      changed(`/${collection}`, "/status");
      go(COLLECTIONS[collection].to);
    });
  };
  return (
    <NewDialog
      title={t(COLLECTIONS[collection].create)}
      action={t("create")}
      fields={fields(collection, domains, servers)}
      onCreate={create}
      onClose={onClose}
    />
  );
}

function fields(collection: Collection, domains: Domain[], servers: Server[]): FieldSpec[] {
  const example = t("people.address-example", { domain: domains[0]?.name ?? "example.org" });
  const all: FieldSpec[] = [
    { name: "display_name", label: t("people.name"), kind: "text" },
    { name: "address", label: t("people.address"), kind: "text", required: true, placeholder: example, hint: t("people.address-hint") },
    { name: "aliases", label: t("people.aliases"), kind: "list" },
  ];
  if (collection === "groups") {
    const members: FieldSpec = { name: "members", label: t("group.members"), kind: "list", hint: t("group.members-hint") };
    return [...all, members, ...groupFields()];
  }
  const places = [{ value: "", label: t("people.server-by-policy") }, ...placesOf(servers)];
  if (collection === "users") {
    all.push({ name: "password", label: t("user.password"), kind: "password", hint: t("user.password-hint"), autocomplete: "new-password" });
  }
  all.push(
    { name: "quota_bytes", label: t("quota"), kind: "bytes" },
    { name: "server", label: t("server"), kind: "select", choices: places, hint: t("people.server-hint") },
  );
  if (collection === "users") all.push({ name: "admin", label: t("user.admin"), kind: "toggle", hint: t("user.admin-hint") });
  if (collection === "resources") all.push(...resourceFields().slice(0, 3));
  return all;
}

/** What a group has besides its addresses. */
export function groupFields(): FieldSpec[] {
  return [
    { name: "external_members", label: t("group.external"), kind: "toggle" },
    { name: "internal_senders_only", label: t("group.internal"), kind: "toggle" },
  ];
}

/** Servers that accounts can be on, with what tells them apart. */
export function placesOf(servers: Server[]): { value: string; label: string }[] {
  const usable = servers.filter((server) => server.roles.includes("data"));
  return usable.map((server) => {
    const full = server.accepts_new_accounts && !server.draining ? "" : ` (${t("server.closed")})`;
    const silent = server.answers ? "" : ` (${t("server.silent")})`;
    return { value: server.name, label: `${server.name}${full}${silent}` };
  });
}

/** The rules by which rooms and things are booked. */
export function resourceFields(): FieldSpec[] {
  return [
    {
      name: "resource.kind",
      label: t("resource.kind"),
      kind: "select",
      choices: [
        { value: "room", label: t("resource.room") },
        { value: "equipment", label: t("resource.equipment") },
      ],
    },
    { name: "resource.capacity", label: t("resource.capacity"), kind: "number" },
    { name: "resource.managers", label: t("resource.managers"), kind: "list", hint: t("resource.managers-hint") },
    {
      name: "resource.answers",
      label: t("resource.answers"),
      kind: "select",
      choices: [
        { value: "auto", label: t("resource.automatic") },
        { value: "managers", label: t("resource.by-managers") },
        { value: "nobody", label: t("resource.by-nobody") },
      ],
    },
    { name: "resource.bookings", label: t("resource.bookings"), kind: "number", hint: t("resource.bookings-hint") },
    { name: "resource.hours", label: t("resource.hours"), kind: "text", nullable: true, hint: t("resource.hours-hint") },
    { name: "resource.ahead_days", label: t("resource.ahead"), kind: "number" },
    { name: "resource.longest_minutes", label: t("resource.longest"), kind: "number" },
    { name: "resource.series", label: t("resource.series"), kind: "toggle" },
  ];
}

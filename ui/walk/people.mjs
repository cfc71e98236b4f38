// What an administrator does with people and domains, done by a browser: external contacts, groups, shared mailboxes,
// absence and filters, delegation, devices, forwarding, quota, suspending; and what of it comes back by "Undo".

import assert from "node:assert/strict";
import { holds, picture } from "./browser.mjs";
import { DOMAIN, LOGIN, signedIn, step } from "./console.mjs";

const { page, close, send, api, go, heading, card, dialog, field, press, said, undo } = await signedIn();
const BEN = `ben@${DOMAIN}`;

async function contacts() {
  step("an external contact is made, found, changed, and followed by its group");
  await go("/people/contacts");
  await press("New contact");
  const made = dialog("New contact");
  await field("Name", made).fill("Eve Far");
  await made.getByRole("textbox", { name: "Address" }).fill("eve@far.test");
  await field("Organisation", made).fill("Far Ltd");
  await field("Telephone", made).fill("+49 30 1234");
  await picture(page, "new-contact");
  await press("Create", made);
  await heading("Eve Far");
  const { id } = await api("/contacts/eve@far.test");
  await go("/people/contacts?text=far%20ltd");
  await page.getByRole("link", { name: "Eve Far" }).waitFor();
  await holds(page, "contacts");
  await go(`/people/groups?new=1`);
  const group = dialog("New group");
  await field("Name", group).fill("Team");
  await group.getByRole("textbox", { name: "Address", exact: true }).fill(`team@${DOMAIN}`);
  await group.getByRole("textbox", { name: "Members" }).fill(`eve@far.test ${BEN}`);
  await press("Create", group);
  await heading("Team");
  await page.getByRole("cell", { name: "External contact" }).waitFor();
  await holds(page, "group");
  await go(`/people/contacts/${id}`);
  await page.getByRole("link", { name: `team@${DOMAIN}` }).waitFor();
  await page.getByRole("textbox", { name: "Address" }).fill("eve@near.test");
  await press("Save");
  await said("Saved:");
  const members = (await api(`/groups/team@${DOMAIN}/members`)).items.map((member) => member.address);
  assert.ok(members.includes("eve@near.test"), String(members));
  await holds(page, "contact");
  step("an address of our own is refused, with what to do instead");
  await page.getByRole("textbox", { name: "Address" }).fill(`eve@${DOMAIN}`);
  await press("Save");
  await page.getByRole("alert").getByText(/domain of this installation/).waitFor();
  await press("Discard");
  step("who is deleted by a slip comes back, also into the group");
  await press("Delete");
  await press("Delete", dialog());
  await heading("People");
  assert.equal((await api("/contacts")).items.length, 0);
  await undo();
  await heading("Eve Far");
  const again = (await api(`/groups/team@${DOMAIN}/members`)).items.map((member) => member.address);
  assert.ok(again.includes("eve@near.test"), String(again));
}

async function members() {
  step("members of a group are added and removed, and both are undone");
  await go("/people/groups");
  await page.getByRole("link", { name: "Team" }).click();
  await heading("Team");
  const list = card("Members");
  await list.getByRole("textbox").fill(LOGIN);
  await page.keyboard.press("Enter");
  await press("Add members", list);
  await list.getByRole("link", { name: LOGIN }).waitFor();
  await undo();
  await list.getByRole("link", { name: LOGIN }).waitFor({ state: "detached" });
  await list.getByRole("checkbox", { name: new RegExp(BEN) }).check();
  await press("Remove selected", list);
  await list.getByRole("link", { name: BEN }).waitFor({ state: "detached" });
  await undo();
  await list.getByRole("link", { name: BEN }).waitFor();
}

async function absence(id) {
  step("an absence has dates and a text, runs, is opened again with what was typed, and is stopped");
  await go(`/people/users/${id}`);
  const scripts = card("Vacation and filters");
  await press("Absence…", scripts);
  const form = dialog("Absence");
  await form.getByLabel("From").fill("2030-12-24");
  await form.getByLabel("Until").fill("2031-01-02");
  await field("Subject", form).fill('Away "again"');
  await holds(page, "absence");
  await press("Save", form);
  await said("The absence is saved and runs");
  await scripts.getByText("Runs", { exact: true }).waitFor();
  await press("Absence…", scripts);
  assert.equal(await form.getByLabel("Until").inputValue(), "2031-01-02");
  assert.equal(await field("Subject", form).inputValue(), 'Away "again"');
  await press("Cancel", form);
  await press("Stop", scripts);
  await said("No script runs now");
  await undo();
  await scripts.getByText("Runs", { exact: true }).waitFor();
  step("a filter that is none is refused with its line; a name that is there is not written over");
  await press("New script", scripts);
  const editor = dialog("New script");
  await field("Name", editor).fill("vacation");
  await editor.getByRole("textbox", { name: "Script" }).fill("keep;");
  await press("Save", editor);
  await editor.getByRole("alert").getByText(/already/).waitFor();
  await field("Name", editor).fill("filters");
  await editor.getByRole("textbox", { name: "Script" }).fill("nonsense here");
  await press("Save", editor);
  await editor.getByRole("alert").getByText(/line 1/i).waitFor();
  await editor.getByRole("textbox", { name: "Script" }).fill('require "fileinto";\nfileinto "Archive";');
  await press("Save", editor);
  await scripts.getByText("filters", { exact: true }).waitFor();
  assert.equal((await api(`/accounts/${id}/sieve`)).items.length, 2);
}

async function delegation(id) {
  step("a right is given and taken away again, which is undone");
  await go(`/people/users/${id}`);
  const rights = card("Delegation");
  await press("Give a right", rights);
  const form = dialog("Give a right");
  await form.getByRole("textbox", { name: "Who" }).fill(LOGIN);
  await field("Name", form).fill("INBOX");
  await form.getByLabel("Right", { exact: true }).selectOption("write");
  await press("Give", form);
  const remove = rights.getByRole("button", { name: new RegExp(LOGIN) });
  await remove.first().waitFor();
  await remove.first().click();
  await remove.first().waitFor({ state: "detached" });
  await undo();
  await remove.first().waitFor();
}

async function devices(id) {
  step("an app password is shown once, and revoked");
  const shown = card("Devices and sessions");
  await press("App password", shown);
  const form = dialog("App password");
  await form.getByRole("textbox", { name: "Program or device" }).fill("Ben’s phone");
  await press("Create", form);
  const secret = dialog("Ben’s phone");
  await secret.getByText("Shown only now.", { exact: false }).waitFor();
  await page.keyboard.press("Escape");
  await shown.getByText("Ben’s phone").waitFor();
  await press("Revoke", shown);
  await press("Revoke", dialog());
  await shown.getByText("No app passwords.").waitFor();
  step("a second factor is taken away only when the address is typed");
  await press("Take second factor away", shown);
  const reset = dialog();
  assert.ok(await reset.getByRole("button", { name: "Take second factor away" }).isDisabled());
  await reset.getByRole("textbox").fill(BEN);
  await press("Take second factor away", reset);
  await said("Second factor taken away");
}

async function identity(id) {
  step("addresses, forwarding and a quota are saved; the quota is shown beside what is used");
  await go(`/people/users/${id}`);
  const names = card("Name and addresses");
  await names.getByRole("textbox", { name: "More addresses" }).fill(`benjamin@${DOMAIN}`);
  await page.keyboard.press("Enter");
  await press("Save", names);
  await said("Saved:");
  const forward = card("Forwarding");
  await forward.getByRole("textbox", { name: "Forward to" }).fill("ben@home.test");
  await page.keyboard.press("Enter");
  await press("Save", forward);
  await page.waitForFunction(() => !document.querySelector("main .save"));
  const room = card("Storage");
  await room.getByRole("textbox", { name: "Quota" }).fill("2");
  await press("Save", room);
  await room.getByText(/of 2 GB/).waitFor();
  const user = await api(`/users/${id}`);
  assert.deepEqual([user.aliases, user.forward_to, user.quota_bytes], [[`benjamin@${DOMAIN}`], ["ben@home.test"], 2 * 1024 ** 3]);
  step("suspending is undone");
  await press("Suspend");
  await page.locator("header.page").getByText("Suspended").waitFor();
  await undo();
  await page.locator("header.page").getByText("Suspended").waitFor({ state: "detached" });
}

async function mailboxes() {
  step("a shared mailbox and a room are made; the room has its rules");
  await go("/people/shared?new=1");
  const shared = dialog("New shared mailbox");
  await field("Name", shared).fill("Information");
  await shared.getByRole("textbox", { name: "Address", exact: true }).fill(`info@${DOMAIN}`);
  await press("Create", shared);
  await heading("Information");
  await holds(page, "shared");
  await go("/people/resources?new=1");
  const room = dialog("New resource");
  await field("Name", room).fill("Attic");
  await room.getByRole("textbox", { name: "Address", exact: true }).fill(`attic@${DOMAIN}`);
  await press("Create", room);
  await heading("Attic");
  await holds(page, "resource");
}

async function domain() {
  step("a domain has other names, defaults and servers; one that has contacts in it says so");
  await go(`/domains/${DOMAIN}`);
  const names = card("Names");
  await names.getByRole("textbox", { name: "Aliases" }).fill("tern.example");
  await page.keyboard.press("Enter");
  await press("Save", names);
  await said("Saved:");
  assert.deepEqual((await api(`/domains/${DOMAIN}`)).aliases, ["tern.example"]);
  await undo();
  assert.deepEqual((await api(`/domains/${DOMAIN}`)).aliases, []);
  assert.equal((await send("POST", "/domains", { name: "near.test" })).status, 201);
  await go("/domains/near.test");
  await page.getByText("One external contact has an address in this domain.", { exact: false }).waitFor();
  await holds(page, "domain-with-contacts");
  await page.getByRole("link", { name: "Show them" }).click();
  await page.getByRole("link", { name: "Eve Far" }).waitFor();
}

try {
  const { id } = await api(`/users/${BEN}`);
  await contacts();
  await members();
  await absence(id);
  await delegation(id);
  await devices(id);
  await identity(id);
  await mailboxes();
  await domain();
} catch (error) {
  await picture(page, "failed-people");
  throw error;
}
await close();
console.log("all is well");

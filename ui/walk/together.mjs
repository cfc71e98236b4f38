// Two administrators at once, keys pressed twice, the browser's way back, and a session that ends: nothing that was
// typed is lost, nothing is done twice, and nobody writes over another's work without seeing it.

import assert from "node:assert/strict";
import { holds, picture } from "./browser.mjs";
import { DOMAIN, PASSWORD, signedIn, step } from "./console.mjs";

const here = await signedIn();
const { page, api, go, heading, card, dialog, field, press, said } = here;
const there = await signedIn();
const BEN = `ben@${DOMAIN}`;
const CLASH = "Somebody else changed this meanwhile";

/** Requests that write, as they are sent. */
const writes = [];
page.on("request", (request) => {
  if (request.method() !== "GET" && !request.url().includes("dry_run")) writes.push(`${request.method()} ${new URL(request.url()).pathname}`);
});

/** Does something, and says which requests that write were sent for it. */
async function written(work) {
  writes.length = 0;
  await work();
  return writes.slice();
}

/** Submits the form of a control twice, as two clicks do that are faster than the answer. */
async function twice(control) {
  await control.evaluate((node) => {
    node.form.requestSubmit();
    node.form.requestSubmit();
  });
}

async function settings() {
  step("a setting that another set meanwhile is shown beside ours");
  await there.send("PATCH", "/settings/retention-days", { value: null });
  await go("/settings/retention-days");
  const field = page.getByRole("textbox").last();
  await field.fill("21");
  assert.equal((await there.send("PATCH", "/settings/retention-days", { value: "14" })).status, 200);
  await press("Save");
  const clash = dialog(CLASH);
  await clash.getByRole("cell", { name: "14", exact: true }).waitFor();
  await clash.getByRole("cell", { name: "21", exact: true }).waitFor();
  await holds(page, "setting-conflict");
  await press("Write mine over it", clash);
  await said("Setting saved");
  assert.equal((await api("/settings/retention-days")).value, "21");
  step("and its history has both, each with the way back");
  const lines = page.locator("ul.history li");
  await lines.nth(1).waitFor();
  assert.match((await lines.first().textContent()) ?? "", /14 → 21/);
}

async function people(id) {
  step("what two changed in different fields is both kept; of the same one, theirs can be kept");
  await go(`/people/users/${id}`);
  const name = field("Name");
  await name.fill("Ben Here");
  assert.equal((await there.send("PATCH", `/users/${id}`, { unit: "sales" })).status, 200);
  await press("Save");
  await heading("Ben Here");
  const both = await api(`/users/${id}`);
  assert.deepEqual([both.display_name, both.unit], ["Ben Here", "sales"]);
  await name.fill("Ben Mine");
  await there.send("PATCH", `/users/${id}`, { display_name: "Ben Theirs" });
  await press("Save");
  await press("Cancel", dialog(CLASH));
  assert.equal(await name.inputValue(), "Ben Mine");
  await press("Save");
  await press("Keep theirs", dialog(CLASH));
  await heading("Ben Theirs");
  assert.equal(await name.inputValue(), "Ben Theirs");
}

async function scripts(id) {
  step("a script that another wrote meanwhile is not written over unseen");
  const path = `/accounts/${id}/sieve/rules`;
  await there.send("PUT", path, { text: "keep;" });
  await go(`/people/users/${id}`);
  const line = card("Vacation and filters").locator(".line").filter({ hasText: "rules" });
  await press("Edit", line);
  const editor = dialog("rules");
  const script = editor.getByRole("textbox", { name: "Script" });
  await script.fill("keep; # mine");
  await there.send("PUT", path, { text: "keep; # theirs" });
  await press("Save", editor);
  await dialog(CLASH).getByText("keep; # theirs").waitFor();
  await press("Write mine over it", dialog(CLASH));
  assert.equal(await script.inputValue(), "keep; # mine");
  const sent = await written(async () => {
    await twice(script);
    await editor.waitFor({ state: "detached" });
  });
  assert.deepEqual(sent, [`PUT /api/v1${path}`]);
  assert.equal((await api(path)).text, "keep; # mine");
}

async function pressedTwice(id) {
  step("each kind of form that is sent twice does what it does once");
  await go("/people/contacts?new=1");
  const made = dialog("New contact");
  const address = made.getByRole("textbox", { name: "Address" });
  await address.fill("once@far.test");
  const creation = await written(async () => {
    await twice(address);
    await heading("once@far.test");
  });
  assert.deepEqual(creation, ["POST /api/v1/contacts"]);
  const note = field("Note");
  await note.fill("met at the fair");
  const change = await written(async () => {
    await twice(note);
    await said("Saved:");
  });
  assert.equal(change.length, 1, String(change));
  await press("Delete");
  const deletion = await written(async () => {
    await twice(dialog().getByRole("button", { name: "Delete", exact: true }));
    await heading("People");
  });
  assert.equal(deletion.length, 1, String(deletion));
  await go("/settings/retention-days");
  const setting = page.getByRole("textbox").last();
  await setting.fill("22");
  const set = await written(async () => {
    await twice(setting);
    await said("Setting saved");
  });
  assert.equal(set.length, 1, String(set));
  await go(`/people/users/${id}`);
  const password = card("Password").getByLabel("New password");
  await password.fill("a good long password");
  const given = await written(async () => {
    await twice(password);
    await page.getByText("Password set", { exact: false }).first().waitFor();
  });
  assert.equal(given.length, 1, String(given));
}

async function wayBack(id) {
  step("the way back asks before what was typed is left, and keeps it when one stays");
  await go("/people/users");
  await page.getByRole("link", { name: "Ben Theirs" }).click();
  await heading("Ben Theirs");
  const name = field("Name");
  await name.fill("Not saved");
  const asks = dialog("Leave without saving?");
  await page.evaluate(() => history.back());
  await asks.waitFor();
  await holds(page, "leave");
  await press("Stay here", asks);
  assert.equal(await name.inputValue(), "Not saved");
  assert.match(page.url(), new RegExp(`/people/users/${id}$`));
  await page.getByRole("link", { name: "Jobs" }).click();
  await press("Stay here", asks);
  assert.ok(await page.evaluate(() => !dispatchEvent(new Event("beforeunload", { cancelable: true }))), "closing the window asks, too");
  await page.evaluate(() => history.back());
  await press("Leave", asks);
  await heading("People");
  step("and the way forward leads to the same page, with what is saved");
  await page.goForward();
  await heading("Ben Theirs");
  assert.equal(await name.inputValue(), "Ben Theirs");
  assert.match(await page.title(), /^Ben Theirs/);
  await page.goBack();
  await heading("People");
  await go("/people/groups");
  await page.getByRole("link", { name: "Users", exact: true }).click();
  await press("New user");
  await field("Name", dialog("New user")).fill("Half typed");
  await page.evaluate(() => history.back());
  await press("Stay here", asks);
  assert.equal(await field("Name", dialog("New user")).inputValue(), "Half typed");
  await press("Cancel", dialog("New user"));
}

async function sessionEnds() {
  step("a session that ends under a new user's form leaves it, and it is sent after signing in again");
  await go("/people/users?new=1");
  const form = dialog("New user");
  await field("Name", form).fill("Late Comer");
  await form.getByRole("textbox", { name: "Address", exact: true }).fill(`late@${DOMAIN}`);
  await there.send("DELETE", "/session");
  await here.send("DELETE", "/session");
  await press("Create", form);
  const again = dialog("Your session has ended");
  await again.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await again.waitFor({ state: "detached" });
  assert.equal(await field("Name", form).inputValue(), "Late Comer");
  await press("Create", form);
  await heading("Late Comer");
}

try {
  const { id } = await api(`/users/${BEN}`);
  await settings();
  await people(id);
  await scripts(id);
  await pressedTwice(id);
  await wayBack(id);
  await sessionEnds();
} catch (error) {
  await picture(page, "failed-together");
  throw error;
}
await there.close();
await here.close();
console.log("all is well");

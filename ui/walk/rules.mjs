// What an administrator looks after now and then, done by a browser: the rules of a room, certificates of an authority
// that doesn't answer, which version is wanted; with what is refused, and what comes back by "Undo".

import assert from "node:assert/strict";
import { asks, noMore } from "./asks.mjs";
import { holds, picture } from "./browser.mjs";
import { DOMAIN, signedIn, step, walk } from "./console.mjs";

const { page, close, api, go, heading, card, dialog, field, press, said, undo } = await signedIn("/people/users", {
  // What is typed wrong is a malformed request.
  refusals: [400],
});
const ROOM = `room@${DOMAIN}`;

async function room() {
  step("a room is made with its rules");
  await go("/people/resources?new=1");
  const made = dialog("New resource");
  await field("Name", made).fill("Blue room");
  await made.getByRole("textbox", { name: "Address", exact: true }).fill(ROOM);
  await made.getByLabel("Capacity").fill("8");
  await picture(page, "new-room");
  await press("Create", made);
  await heading("Blue room");
  const rules = card("Booking");
  await rules.getByLabel("Invitations are answered by").selectOption("managers");
  await rules.getByRole("textbox", { name: "Managers" }).fill(`ben@${DOMAIN}`);
  await page.keyboard.press("Enter");
  await rules.getByLabel("Hours").fill("mo-fr 08:00-18:00 Europe/Berlin");
  await rules.getByLabel("Longest booking in minutes").fill("120");
  await press("Save", rules);
  await said("Saved:");
  const { resource } = await api(`/resources/${ROOM}`);
  assert.deepEqual(
    [resource.capacity, resource.answers, resource.managers, resource.hours, resource.longest_minutes],
    [8, "managers", [`ben@${DOMAIN}`], "mo-fr 08:00-18:00 Europe/Berlin", 120],
  );
  await holds(page, "room");
  step("hours that nobody understands and managers who aren't there are refused, and nothing is changed");
  for (const [name, value, says] of [
    ["Hours", "whenever", /hours/i],
    ["Longest booking in minutes", "-5", /./],
  ]) {
    await rules.getByLabel(name).fill(value);
    await press("Save", rules);
    await page.getByRole("alert").getByText(says).first().waitFor();
    await press("Discard", rules);
  }
  assert.equal((await api(`/resources/${ROOM}`)).resource.longest_minutes, 120);
  step("what was saved is taken back by Undo");
  await rules.getByLabel("Longest booking in minutes").fill("60");
  await press("Save", rules);
  await said("Saved:");
  await undo();
  assert.equal((await api(`/resources/${ROOM}`)).resource.longest_minutes, 120);
}

async function certificates() {
  step("certificates of an authority that doesn't answer: it is said, with what to do, and switched off again");
  await go("/certificates");
  await holds(page, "certificates-off");
  await press("Issue certificates");
  const asked = dialog("Issue certificates");
  const authority = asked.getByRole("textbox", { name: "Authority", exact: true });
  await authority.fill("no authority");
  await press("Issue certificates", asked);
  await asked.getByRole("alert").first().waitFor();
  await authority.fill(`https://${await asks("closed")}/directory`);
  await press("Issue certificates", asked);
  await asked.getByRole("alert").getByText("The terms are not agreed to").waitFor();
  await asked.getByRole("checkbox").check();
  await press("Issue certificates", asked);
  await asked.waitFor({ state: "detached" });
  await card("Issued by itself").getByText("Failing").waitFor({ timeout: 60_000 });
  assert.equal((await api("/acme")).state, "failing");
  await holds(page, "certificates-failing");
  await press("Ask for no more");
  await press("Ask for no more", dialog("Ask for no more"));
  await card("Issued by itself").getByText("Off", { exact: true }).waitFor();
  assert.equal((await api("/acme")).state, "off");
}

async function updates() {
  step("which version is wanted is said, kept in the history, and refused when there can't be such a version");
  await go("/updates");
  await holds(page, "updates");
  const wanted = card("What is wanted");
  await wanted.getByLabel("Wanted").selectOption("pinned");
  await wanted.getByLabel("Version").fill("tomorrow's");
  await press("Save", wanted);
  await wanted.getByRole("alert").first().waitFor();
  await wanted.getByLabel("Version").fill("0.9.0");
  await press("Save", wanted);
  await wanted.getByText("Saved").waitFor();
  assert.equal((await api("/updates")).policy, "pinned 0.9.0");
  await page.getByText("pinned 0.9.0").first().waitFor();
  step("a plan for a version that no server has says so in its place");
  await press("Prepare");
  await page.getByText(/0\.9\.0/).first().waitFor();
  await picture(page, "updates-refused");
  await wanted.getByLabel("Wanted").selectOption("current");
  await press("Save", wanted);
  await wanted.getByText("Saved").waitFor();
  assert.match((await api("/updates")).policy, /^current/);
  await holds(page, "updates-again");
  noMore();
}

await walk(page, close, room, certificates, updates);

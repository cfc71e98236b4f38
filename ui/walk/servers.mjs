// What an administrator does with servers, done by a browser: choosing the storage servers of a domain, a standby, another
// name, a weight; emptying a server while a program is connected; a plan that is done as it was shown; and refusals.

import assert from "node:assert/strict";
import { asks, noMore } from "./asks.mjs";
import { holds, picture } from "./browser.mjs";
import { DOMAIN, signedIn, step, walk } from "./console.mjs";

const { page, close, api, send, go, heading, card, dialog, field, press, said, undo } = await signedIn(
  "/servers",
  // Who looks at a server that is down is told that it does not answer.
  { refusals: [503] },
);
const USERS = ["one", "two", "three"].map((name) => `${name}@${DOMAIN}`);
const serverOf = async (address) => (await api(`/users/${address}`)).server;
const server = (name) => api(`/servers/${name}`);

async function storage() {
  step("a domain's new accounts go to the servers that are ticked");
  await go(`/domains/${DOMAIN}`);
  const servers = card("Storage servers");
  const alpha = servers.getByRole("checkbox", { name: /alpha/ });
  const beta = servers.getByRole("checkbox", { name: /beta/ });
  await alpha.check();
  await beta.uncheck();
  await press("Save", servers);
  await said("Saved:");
  assert.deepEqual((await api(`/domains/${DOMAIN}`)).servers, ["alpha"]);
  for (const address of USERS) {
    assert.equal((await send("POST", "/users", { address, password: "a long enough one" })).status, 201);
    assert.equal(await serverOf(address), "alpha");
  }
  await go("/servers/alpha");
  await card("Domains").getByText("selected", { exact: true }).first().waitFor();
  await holds(page, "server");
  step("and to every server again by Undo");
  await go(`/domains/${DOMAIN}`);
  await card("Storage servers").getByRole("checkbox", { name: /alpha/ }).uncheck();
  await press("Save", card("Storage servers"));
  await said("Saved:");
  assert.deepEqual((await api(`/domains/${DOMAIN}`)).servers, []);
  step("its defaults hold for it alone");
  const defaults = card("Defaults");
  await defaults.getByLabel("A full mailbox").selectOption("refuse");
  await press("Save", defaults);
  await said("Saved:");
  assert.equal((await api(`/domains/${DOMAIN}`)).full_mailbox, "refuse");
  await undo();
  assert.equal((await api(`/domains/${DOMAIN}`)).full_mailbox, "defer");
}

async function rename() {
  step("a server gets another name and weight, while a program is connected to it");
  assert.equal(await asks("connect", USERS[0]), "connected");
  await go("/servers/alpha");
  await field("Name").fill("anchor");
  await page.getByLabel("Weight").fill("2");
  await press("Save", card("Roles and name"));
  await heading("anchor");
  assert.equal((await server("anchor")).weight, 2);
  assert.equal(await serverOf(USERS[0]), "anchor");
  assert.equal(await asks("goes-on"), "the session lives");
  step("a name that another has is refused");
  await go("/servers/anchor");
  await field("Name").fill("beta");
  await press("Save", card("Roles and name"));
  await page.getByRole("alert").first().waitFor();
  assert.equal(await field("Name").inputValue(), "beta");
  await press("Discard", card("Roles and name"));
  step("and it has its former name back");
  await field("Name").fill("alpha");
  await press("Save", card("Roles and name"));
  await heading("alpha");
}

async function standby() {
  step("a standby is given, taken back by Undo, and given again");
  await go("/servers/alpha");
  const standby = card("Standby");
  await standby.getByLabel("Standby server").selectOption("beta");
  await standby.getByLabel("Confirmations wait for").selectOption({ label: "the standby copy, too" });
  await press("Save", standby);
  await said("Saved:");
  const given = await server("alpha");
  assert.deepEqual([given.standby, given.standby_durability], ["beta", 2]);
  await undo();
  assert.equal((await server("alpha")).standby, null);
  await go("/servers/alpha");
  await card("Standby").getByLabel("Standby server").selectOption("beta");
  await press("Save", card("Standby"));
  await said("Saved:");
  assert.equal((await server("alpha")).standby, "beta");
  const hasCopies = async (path) => (await (await fetch(path)).json()).copies >= 3;
  await page.waitForFunction(hasCopies, "/api/v1/servers/beta");
  await go("/servers/beta");
  await page.getByText("Copies of accounts elsewhere", { exact: true }).waitFor();
  await holds(page, "standby");
}

async function drain() {
  step("a server that has accounts is not removed");
  await go("/servers/alpha");
  await press("Remove");
  const removes = dialog("Remove alpha?");
  await removes.getByRole("textbox").fill("alpha");
  await press("Remove", removes);
  await removes.getByRole("alert").waitFor();
  await holds(page, "remove-refused");
  await press("Cancel", removes);
  step("it is emptied: the plan is shown, the job is watched, the program that is connected notices nothing");
  await press("Empty…");
  const empties = dialog("Empty alpha?");
  await empties.getByText(/beta: \d accounts?/).waitFor();
  await picture(page, "drain-plan");
  await press("Empty…", empties);
  await page.getByText("Done", { exact: true }).waitFor();
  const log = page.getByRole("region", { name: "Log" });
  await log.getByText("Moved").first().waitFor();
  await log.getByText(/nobody could write for \d+ ms/).first().waitFor();
  await holds(page, "drain-job");
  for (const address of USERS) assert.equal(await serverOf(address), "beta");
  assert.equal(await asks("goes-on"), "the session lives");
  await go("/jobs");
  await page.getByRole("row").filter({ hasText: "alpha" }).first().getByText("Done").waitFor();
  step("while it is being emptied it takes nobody; afterwards it does");
  await go("/servers/alpha");
  await page.getByText("Being emptied").first().waitFor();
  await press("Stop emptying");
  await said("Takes accounts again");
  assert.equal((await server("alpha")).draining, false);
}

async function rebalance() {
  step("a plan to even the servers out is done exactly as it was shown");
  await go("/servers/rebalance");
  await press("Make a plan");
  await page.getByRole("button", { name: "Do exactly this" }).waitFor();
  await holds(page, "rebalance-plan");
  const planned = await page.getByRole("region", { name: "Moves" }).getByRole("row").count();
  await press("Do exactly this");
  await said("The moves have begun");
  await page.getByText("Done", { exact: true }).waitFor();
  const there = (await api("/accounts?limit=100&server=alpha")).items.length;
  assert.equal(there, planned - 1, "as many accounts as the plan has rows besides its head");
  assert.equal(await asks("goes-on"), "the session lives");
}

async function silent() {
  step("a server that stops answering is said to, within moments, and its standby can take over");
  await go("/servers");
  assert.equal(await asks("stop", "alpha"), "stopped");
  await page.getByRole("row").filter({ hasText: "alpha" }).getByText("Doesn’t answer").waitFor();
  await go("/servers/alpha");
  await press("Fail over…");
  await picture(page, "failover");
  await holds(page, "failover");
  await press("Cancel", dialog());
  assert.equal(await asks("start", "alpha"), "started");
  await go("/servers");
  await page.getByRole("row").filter({ hasText: "alpha" }).getByText("Answers").waitFor();
}

await walk(page, close, storage, rename, standby, drain, rebalance, silent);
noMore();

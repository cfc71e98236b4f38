// A machine takes another one's place, led by a browser: the token, the copies and the checks, the switch while a mail
// program is connected, the way back, the switch for good, and the old machine is let go.

import assert from "node:assert/strict";
import { asks, noMore } from "./asks.mjs";
import { holds, picture } from "./browser.mjs";
import { DOMAIN, signedIn, step, walk } from "./console.mjs";

const { page, close, api, send, go, heading, card, dialog, field, press } = await signedIn("/migration");
const USER = `one@${DOMAIN}`;
const title = "fresh takes the place of alpha";
const phase = (name) => card(title).getByText(name, { exact: true }).first().waitFor({ timeout: 120_000 });
const serverOf = async (address) => (await api(`/users/${address}`)).server;

async function nobody() {
  step("without a migration the page says how one begins, and the ways in from other systems");
  await heading("Migration");
  await card("From another system").getByText("sterna import imap", { exact: false }).waitFor();
  await holds(page, "migration-none");
  assert.equal((await send("POST", "/users", { address: USER, password: "a long enough one", server: "alpha" })).status, 201);
  assert.equal(await asks("connect", USER), "connected");
}

async function begin() {
  step("a token for one machine is made, and one command pasted there");
  await card("Take a machine’s place").getByLabel("Whose place").selectOption("alpha");
  await press("Make the command");
  const command = await card("Paste this on the new machine").locator("code").first().textContent();
  assert.match(command, /migrate from \S+ --token \S+/);
  await picture(page, "migration-token");
  assert.equal(await asks("succeed", "fresh", ...command.split(" ")), "prepared");
  await heading("Migration");
  await phase("Following");
  step("it is told how far the copies are, and what has to be as it should");
  await card("Copies").getByRole("cell", { name: USER }).waitFor();
  await card("Copies").getByRole("cell", { name: "Equal", exact: true }).first().waitFor({ timeout: 60_000 });
  await card("Before the switch").getByRole("listitem").first().waitFor();
  await holds(page, "migration-following");
}

async function toAndFro() {
  step("it is switched while a program is connected, and taken back");
  await ready();
  await press("Switch…");
  await picture(page, "migration-switch");
  await press("Switch", dialog("Switch"));
  await phase("Switched");
  assert.equal(await serverOf(USER), "fresh");
  assert.equal(await asks("goes-on"), "the session lives");
  await card("What comes now").getByRole("link", { name: "My networks" }).waitFor();
  await holds(page, "migration-switched");
  await press("Go back…");
  await dialog("Go back").getByLabel("How").selectOption("at-once");
  await press("Go back", dialog("Go back"));
  await phase("Following");
  assert.equal(await serverOf(USER), "alpha");
  assert.equal(await asks("goes-on"), "the session lives");
}

/** Nothing is switched before everything is equal. */
async function ready() {
  await page.waitForFunction(
    async () => {
      const now = await (await fetch("/api/v1/migration")).json();
      return now.copies.equal === now.copies.accounts && now.checks.every((check) => check.is_well);
    },
    null,
    { timeout: 120_000, polling: 500 },
  );
}

async function forGood() {
  step("for good: the old machine is let go by its name, and is no longer a server");
  await ready();
  await press("Switch…");
  await press("Switch", dialog("Switch"));
  await phase("Switched");
  await press("Let the old machine go…");
  const asked = dialog("Let the old machine go");
  assert.ok(await asked.getByRole("button", { name: "Let the old machine go", exact: true }).isDisabled());
  await asked.getByRole("textbox").fill("alpha");
  await press("Let the old machine go", asked);
  await page.getByText("that machine can be switched off").waitFor({ timeout: 120_000 });
  await phase("Done");
  assert.equal(await asks("goes-on"), "the session lives");
  const names = (await api("/servers")).items.map((server) => server.name);
  assert.deepEqual(names.filter((name) => ["alpha", "fresh"].includes(name)), ["fresh"]);
  step("the server takes the old one's name");
  await go("/servers/fresh");
  await field("Name").fill("alpha");
  await press("Save", card("Roles and name"));
  await heading("alpha");
  noMore();
}

await walk(page, close, nobody, begin, toAndFro, forGood);

// What an administrator does in the console, done by a browser against a running installation with two data servers:
//   BASE=https://127.0.0.1:8443 LOGIN=... PASSWORD=... DOMAIN=example.org FROM=alpha TO=beta node walk/walk.mjs
// It ends with 1 at the first thing that isn't as it should be.

import assert from "node:assert/strict";
import { asks, canAsk, noMore } from "./asks.mjs";
import { holds, open, picture } from "./browser.mjs";

const { BASE, LOGIN, PASSWORD, DOMAIN, FROM, TO } = process.env;
for (const [name, value] of Object.entries({ BASE, LOGIN, PASSWORD, DOMAIN, FROM, TO })) assert.ok(value, `${name} is not set`);

/** The network that the walk lets in and takes away again: for documentation only (RFC 5737). */
const NETWORK = "192.0.2.0/24";

const { page, close } = await open();
const api = (path) => page.evaluate(async (path) => (await fetch(`/api/v1${path}`)).json(), path);
const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
const step = (text) => console.log(`- ${text}`);

async function signIn() {
  step("a wrong password is told, the right one lets in");
  await page.goto(`${BASE}/admin/people/users`);
  await page.getByLabel("Address or login").fill(LOGIN);
  await page.getByLabel("Password").fill("not the password");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  await holds(page, "sign-in");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await heading("People");
}

async function createUser() {
  step("a user is made on a chosen server");
  await page.getByRole("button", { name: "New user" }).click();
  const dialog = page.getByRole("dialog", { name: "New user" });
  await dialog.getByLabel("Name", { exact: true }).fill("Walk Walker");
  await dialog.getByRole("textbox", { name: "Address", exact: true }).fill(`walk@${DOMAIN}`);
  await dialog.getByLabel("Server").selectOption(FROM);
  await picture(page, "new-user");
  await dialog.getByRole("button", { name: "Create" }).click();
  await heading("Walk Walker");
  const user = await api(`/users/walk@${DOMAIN}`);
  assert.equal(user.server, FROM);
  return user;
}

async function nameIsTaken() {
  step("a name that is taken is told with code and remedy, and nothing typed is lost");
  await page.goto(`${BASE}/admin/people/users?new=1`);
  const dialog = page.getByRole("dialog", { name: "New user" });
  await dialog.getByRole("textbox", { name: "Address", exact: true }).fill(`walk@${DOMAIN}`);
  await dialog.getByRole("button", { name: "Create" }).click();
  const alert = dialog.getByRole("alert");
  await alert.getByText("taken", { exact: true }).waitFor();
  assert.equal(await dialog.getByRole("textbox", { name: "Address", exact: true }).inputValue(), `walk@${DOMAIN}`);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
}

async function moveUser(user) {
  step("the user moves, with a client that is connected, while the page shows how far it is");
  if (canAsk) assert.equal(await asks("connect", `walk@${DOMAIN}`), "connected");
  await page.goto(`${BASE}/admin/people/users/${user.id}`);
  await heading("Walk Walker");
  await page.getByRole("button", { name: "Move…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("To").selectOption(TO);
  await dialog.getByText("1 account moves").waitFor();
  await picture(page, "move-plan");
  await dialog.getByRole("button", { name: "Move now" }).click();
  await page.getByRole("group", { name: "The move as it happens" }).waitFor();
  await page.getByRole("progressbar").first().waitFor();
  await picture(page, "move");
  await page.getByText("Lives on").getByRole("link", { name: TO }).waitFor();
  await page.getByRole("button", { name: "Move back" }).waitFor();
  await picture(page, "moved");
  const place = await api(`/accounts/${user.id}/where`);
  assert.equal(place.server, TO);
  if (canAsk) assert.equal(await asks("goes-on", `walk@${DOMAIN}`), "the session lives");
}

async function revoke(user) {
  step("a session of a mail program and one of a browser are ended, and are over");
  if (!canAsk) return;
  await page.goto(`${BASE}/admin/people/users/${user.id}`);
  await heading("Walk Walker");
  const line = page.locator(".line").filter({ hasText: "IMAP" });
  await line.getByRole("button", { name: "Sign out" }).click();
  await line.waitFor({ state: "detached" });
  assert.equal(await asks("is-over", `walk@${DOMAIN}`), "over");
  const other = await open({ language: "en" });
  await other.page.goto(`${BASE}/admin/`);
  await other.page.getByLabel("Address or login").fill(LOGIN);
  await other.page.getByLabel("Password").fill(PASSWORD);
  await other.page.keyboard.press("Enter");
  await other.page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  const own = (await api(`/users/${LOGIN}`)).id;
  await page.goto(`${BASE}/admin/people/users/${own}`);
  const browsers = page.locator(".line").filter({ hasText: "Chrome" });
  const foreign = browsers.filter({ hasNotText: "this one" });
  await foreign.first().getByRole("button", { name: "Sign out" }).click();
  await foreign.first().waitFor({ state: "detached" });
  assert.equal(await other.page.evaluate(async () => (await fetch("/api/v1/users")).status), 401);
  await other.close();
}

async function conflict(user) {
  step("what another wrote meanwhile is shown beside ours");
  const name = page.getByLabel("Name", { exact: true });
  await name.fill("Written here");
  const body = JSON.stringify({ display_name: "Written there" });
  const request = { method: "PATCH", headers: { "Content-Type": "application/json" }, body };
  await page.evaluate(([path, request]) => fetch(path, request), [`/api/v1/users/${user.id}`, request]);
  await page.getByRole("button", { name: "Save" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Somebody else changed this meanwhile" });
  await dialog.getByText("Written there").waitFor();
  await dialog.getByText("Written here").waitFor();
  await picture(page, "conflict");
  await dialog.getByRole("button", { name: "Write mine over it" }).click();
  await heading("Written here");
  step("and what was saved is taken back");
  await page.getByRole("status").getByRole("button", { name: "Undo" }).first().click();
  await page.getByText("Undone").waitFor();
  assert.notEqual((await api(`/users/${user.id}`)).display_name, "Written here");
}

async function networks() {
  step("my networks change, and the change is undone");
  await page.goto(`${BASE}/admin/mail/networks`);
  await page.getByRole("textbox", { name: "My networks" }).fill(NETWORK);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Setting saved").waitFor();
  assert.match((await api("/settings/mail.networks")).value, /192\.0\.2\.0/);
  await picture(page, "networks-set");
  await page.getByRole("status").getByRole("button", { name: "Undo" }).click();
  await page.getByText("Undone").waitFor();
  assert.doesNotMatch((await api("/settings/mail.networks")).value ?? "", /192\.0\.2\.0/);
}

async function maintenance() {
  step("mail maintenance finds nothing wrong, and tells what it looked at");
  await page.goto(`${BASE}/admin/mail/maintenance`);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByRole("term").filter({ hasText: "Changes since then" }).waitFor();
  await page.getByRole("table", { name: "Tables" }).waitFor();
  await picture(page, "maintenance-run");
}

async function join() {
  step("a new server is invited by one command, and the invitation is revoked");
  await page.goto(`${BASE}/admin/servers/join`);
  await page.getByLabel("Name").fill("gamma");
  await page.getByRole("button", { name: "Make the command" }).click();
  const command = await page.locator(".command code").filter({ hasText: "--token" }).textContent();
  assert.match(command ?? "", /sterna init --join \S+:\d+ --token \S+ --name gamma --roles data/);
  await page.getByText("Waiting for the server to join").waitFor();
  if (canAsk) return joined(command ?? "");
  await page.goto(`${BASE}/admin/servers`);
  const row = page.getByRole("row", { name: /gamma/ });
  await row.getByRole("button", { name: "Revoke" }).click();
  await row.waitFor({ state: "detached" });
}

async function joined(command) {
  step("it joins: it answers, runs the same version, has its roles, and the domain puts accounts there");
  assert.equal(await asks("join", "gamma", command), "joined");
  await page.getByText("gamma", { exact: true }).waitFor();
  await page.getByText(`Selected for new accounts of`).waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".checks li").length > 0 && !document.querySelector(".checks li.attention"));
  await picture(page, "joined");
  await page.goto(`${BASE}/admin/servers/gamma`);
  await heading("gamma");
  assert.ok((await api("/servers/gamma")).roles.includes("data"));
}

async function graphs() {
  step("numbers over time are drawn, said, and told as a table by the keyboard");
  await page.goto(`${BASE}/admin/servers`);
  const graph = page.getByRole("figure").filter({ hasText: "Disk in use" });
  const words = await graph.getByRole("img").getAttribute("aria-label");
  assert.match(words ?? "", new RegExp(`${FROM}: now \\d+%`));
  await graph.locator("summary").focus();
  await page.keyboard.press("Enter");
  await graph.getByRole("cell", { name: /%/ }).first().waitFor();
  await holds(page, "graphs");
  await page.getByLabel("How far back").selectOption("month");
  await graph.getByRole("img").waitFor();
}

async function greylist() {
  step("the greylist of all edges can be looked through");
  await page.goto(`${BASE}/admin/mail/greylist?network=192.0.2`);
  await page.getByText("Nobody waits, and nobody is known.").waitFor();
}

async function firewall() {
  step("rules between the machines are shown before anything is loaded");
  await page.goto(`${BASE}/admin/firewall`);
  await page.getByText("Guard the ports on every server", { exact: true }).click();
  await page.getByRole("button", { name: "Show what changes" }).click();
  const server = page.locator("details").filter({ has: page.locator("summary", { hasText: FROM }) });
  await server.waitFor();
  // Of many servers each is opened by who wants to see it.
  if (!(await server.evaluate((details) => details.open))) await server.locator("summary").click();
  await page.getByRole("region", { name: `Change of the rules on ${FROM}` }).getByText("counter drop").waitFor();
  await holds(page, "firewall-preview");
  assert.equal((await api("/firewall")).on, false);
}

async function rebalance() {
  step("a plan is shown before anything moves");
  await page.goto(`${BASE}/admin/servers/rebalance`);
  await page.getByRole("button", { name: "Make a plan" }).click();
  await page.getByText(/The servers are even|accounts? moves?/).first().waitFor();
}

async function dns() {
  step("the table of a domain says what DNS has of each record");
  await page.goto(`${BASE}/admin/domains/${DOMAIN}`);
  await page.getByRole("columnheader", { name: "Found" }).waitFor();
  const states = await page.getByRole("table", { name: "DNS records" }).getByText(/As it should be|Missing|Says something else|Not known/).count();
  assert.ok(states > 5, `${states} records were looked for`);
}

async function keyboard() {
  step("everything is reached by the keyboard alone");
  await page.goto(`${BASE}/admin/`);
  await heading("Overview");
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: /People, domains/ }).waitFor();
  await page.keyboard.type(DOMAIN);
  await page.getByRole("option", { name: new RegExp(`^${DOMAIN.replace(".", "\\.")} Domain`) }).waitFor();
  await picture(page, "palette");
  const options = await page.getByRole("option").allTextContents();
  const at = options.findIndex((text) => text.startsWith(DOMAIN) && text.endsWith("Domain"));
  for (let n = 0; n < at; n += 1) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await heading(DOMAIN);
  await page.goto(`${BASE}/admin/servers`);
  await heading("Servers");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the content");
  const reached = new Set();
  for (let n = 0; n < 60; n += 1) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement?.textContent?.trim() ?? ""));
  }
  for (const name of ["Overview", "Rebalance…", "New server", FROM, TO]) assert.ok(reached.has(name), `Tab never reaches ${name}`);
}

async function deleteUser(user) {
  step("who is deleted is in the bin, comes back, and goes for ever when the address is typed");
  const isThere = () => page.evaluate(async (id) => (await fetch(`/api/v1/users?limit=1000`)).json().then((page) => page.items.some((one) => one.id === id)), user.id);
  const remove = async () => {
    await page.goto(`${BASE}/admin/people/users/${user.id}`);
    await page.getByRole("button", { name: "Delete", exact: true }).waitFor();
    // What is still being read of somebody who is gone would be refused, which browsers call an error.
    await page.waitForFunction(() => !document.querySelector("main [aria-busy=true]"));
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await heading("People");
  };
  await remove();
  assert.equal(await isThere(), false);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("Undone").waitFor();
  assert.equal(await isThere(), true);
  await remove();
  await page.goto(`${BASE}/admin/people/bin`);
  const row = page.getByRole("row").filter({ hasText: `walk@${DOMAIN}` });
  await row.getByRole("button", { name: /^Bring back/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Bring back" }).click();
  await page.getByText("Nothing is in the bin.").waitFor();
  assert.equal(await isThere(), true);
  await remove();
  await page.goto(`${BASE}/admin/people/bin`);
  await row.getByRole("button", { name: /^Delete for ever/ }).click();
  const dialog = page.getByRole("dialog");
  const forEver = dialog.getByRole("button", { name: "Delete for ever" });
  assert.ok(await forEver.isDisabled());
  await dialog.getByLabel(/Type walk@/).fill(`walk@${DOMAIN}`);
  await forEver.click();
  await page.getByText("Nothing is in the bin.").waitFor();
  assert.equal(await isThere(), false);
}

/** Pages that are looked at one by one: by path, with their names. */
function pages(user) {
  const mail = ["queue", "trace", "greylist", "maintenance", "networks", "relay", "limits"].map((name) => `/mail/${name}`);
  const people = ["users", "groups", "shared", "resources", "contacts", "administrators", "bin"].map((name) => `/people/${name}`);
  const others = ["/me", "/jobs", "/audit", "/certificates", "/firewall", "/updates", "/migration", "/settings", "/settings/mail.networks"];
  const servers = ["/servers", `/servers/${FROM}`, "/servers/join", "/servers/rebalance"];
  const domains = ["/domains", `/domains/${DOMAIN}`];
  return ["/", ...people, `/people/users/${user.id}`, ...servers, ...domains, ...mail, ...others];
}

async function look(user) {
  for (const path of pages(user)) {
    step(`looks at ${path}`);
    await page.goto(`${BASE}/admin${path}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await holds(page, path.replaceAll("/", "_").slice(1) || "overview");
  }
}

async function languages() {
  step("other languages have everything");
  await page.goto(`${BASE}/admin/`);
  for (const [tag, name] of [["fr", "Vue d’ensemble"], ["de", "Übersicht"], ["en", "Overview"]]) {
    await page.locator("header.top select").first().selectOption(tag);
    await heading(name);
    assert.equal(await page.evaluate(() => document.documentElement.lang), tag);
  }
}

async function sessionEnds(user) {
  step("a session that ends under a form leaves what was typed");
  await page.goto(`${BASE}/admin/people/users/${user.id}`);
  const name = page.getByRole("textbox", { name: "Name", exact: true });
  await name.fill("Typed before");
  await page.evaluate(() => fetch("/api/v1/session", { method: "DELETE", headers: { "Content-Type": "application/json" } }));
  await page.getByRole("button", { name: "Save" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Your session has ended" });
  await dialog.getByLabel("Password").fill(PASSWORD);
  await picture(page, "session-ended");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  assert.equal(await name.inputValue(), "Typed before");
  await page.getByRole("button", { name: "Save" }).first().click();
  await heading("Typed before");
}

async function signOut() {
  step("signing out ends the session");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Address or login").waitFor();
  assert.equal(await page.evaluate(async () => (await fetch("/api/v1/users")).status), 401);
}

try {
  await signIn();
  const user = await createUser();
  await nameIsTaken();
  await moveUser(user);
  await revoke(user);
  await page.goto(`${BASE}/admin/people/users/${user.id}`);
  await conflict(user);
  await networks();
  await maintenance();
  await join();
  await graphs();
  await greylist();
  await firewall();
  await rebalance();
  await dns();
  await keyboard();
  await look(user);
  await languages();
  await sessionEnds(user);
  await deleteUser(user);
  await signOut();
} catch (error) {
  await picture(page, "failed");
  throw error;
}
await close();
noMore();
console.log("all is well");

// The ports between the machines, guarded from a browser: rules are shown, tried, taken back, kept, and gone when nobody
// says that all is well.

import assert from "node:assert/strict";
import { asks, noMore } from "./asks.mjs";
import { holds, picture } from "./browser.mjs";
import { signedIn, step, walk } from "./console.mjs";

const { page, close, api, heading, card, press, said } = await signedIn("/firewall");
const toggle = () => card("Rules").getByText("Guard the ports on every server", { exact: true });
const guarded = (name, state) => card("On the servers").getByRole("row").filter({ hasText: name }).getByText(state, { exact: true }).waitFor();

async function all(state) {
  for (const name of ["main", "alpha"]) await guarded(name, state);
}

/** The rules of before aren't those that are looked at. */
async function onTrial() {
  await card("On trial").waitFor();
  await all("guarded");
}

async function tried() {
  step("who changes a rule sees what it is on each server, and tries it for a minute");
  await heading("Firewall");
  await all("not guarded");
  assert.equal(await asks("knock"), "let in");
  await toggle().click();
  await press("Show what changes");
  for (const name of ["main", "alpha"]) {
    await page.getByRole("region", { name: `Change of the rules on ${name}` }).getByText("counter drop").waitFor();
  }
  assert.equal((await api("/firewall")).on, false);
  await press("Try for 60 seconds");
  await onTrial();
  await card("On trial").getByRole("timer").getByText(/^\d+ seconds left$/).waitFor();
  assert.equal(await asks("knock"), "kept out");
  await holds(page, "firewall-trial");
}

async function takenBack() {
  step("it is taken back at once by who doesn't like it");
  await press("Take back now");
  await said("The rules of before hold again");
  await all("not guarded");
  assert.equal(await asks("knock"), "let in");
}

async function kept() {
  step("kept, it stays; whom a network names is let in");
  await toggle().click();
  await press("Show what changes");
  await press("Try for 60 seconds");
  await onTrial();
  await press("Keep these rules");
  await said("The rules are kept");
  await card("Rules").waitFor();
  assert.equal((await api("/firewall")).on, true);
  assert.equal(await asks("knock"), "kept out");
  step("a network that is none is refused, and what was typed stays");
  const networks = card("Rules").getByRole("textbox", { name: "Also let in" });
  await networks.fill("10.0.0.0/99");
  await page.keyboard.press("Enter");
  await press("Show what changes");
  await card("Rules").getByRole("alert").waitFor();
  await card("Rules").getByText("10.0.0.0/99").first().waitFor();
  await holds(page, "firewall-refused");
  await card("Rules").getByRole("button", { name: "Remove 10.0.0.0/99" }).click();
  await networks.fill(await asks("stranger"));
  await page.keyboard.press("Enter");
  await press("Show what changes");
  await page.getByRole("region", { name: "Change of the rules on alpha" }).locator("ins").first().waitFor();
  await picture(page, "firewall-difference");
  await press("Try for 60 seconds");
  await onTrial();
  assert.equal(await asks("knock"), "let in");
}

async function away() {
  step("with a server that doesn't answer rules aren't kept, and the page says which one and what to do");
  assert.equal(await asks("stop", "alpha"), "stopped");
  await guarded("alpha", "does not answer");
  await press("Keep these rules");
  const refused = card("On trial").getByRole("alert");
  await refused.getByText(/alpha/).waitFor();
  await refused.getByText(/sterna firewall confirm --anyway/).waitFor();
  await holds(page, "firewall-not-everywhere");
  step("nobody says that all is well: the rules of before hold again by themselves");
  assert.equal(await asks("start", "alpha"), "started");
  await card("Rules").waitFor({ timeout: 120_000 });
  await all("guarded");
  assert.deepEqual((await api("/firewall")).networks, []);
  assert.equal(await asks("knock"), "kept out");
  noMore();
}

await walk(page, close, tried, takenBack, kept, away);

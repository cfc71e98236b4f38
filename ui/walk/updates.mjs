// All servers are brought to another version from a browser, while a program is connected: prepared, checked, downloaded,
// done, taken back, done again, and finished.

import assert from "node:assert/strict";
import { asks, noMore } from "./asks.mjs";
import { holds, picture } from "./browser.mjs";
import { DOMAIN, signedIn, step, walk } from "./console.mjs";

const { page, close, api, heading, card, dialog, press } = await signedIn("/updates");
const [OLD, NEW] = ["0.1.0", "0.2.0"];
const USER = `one@${DOMAIN}`;
const SERVERS = ["main", "alpha"];
/** Servers change their version one after the other; each is looked at before the next. */
const PATIENCE_MS = 180_000;

const phase = (name) => card("Now").getByText(name, { exact: true }).first().waitFor({ timeout: PATIENCE_MS });
const well = (title) => card(title).getByText("Nothing is in the way.").waitFor({ timeout: PATIENCE_MS });

async function runs(version) {
  for (const name of SERVERS) {
    const row = card("Versions").getByRole("row").filter({ has: page.getByRole("cell", { name, exact: true }) });
    await row.getByText(version).waitFor({ timeout: PATIENCE_MS });
  }
}

async function prepared() {
  step("what is wanted is said, and a plan tells what each server runs and will run");
  await heading("Updates");
  await runs(OLD);
  assert.equal(await asks("connect", USER), "connected");
  await card("What is wanted").getByLabel("Wanted").selectOption("pinned");
  await card("What is wanted").getByLabel("Version").fill(NEW);
  await press("Save", card("What is wanted"));
  await card("What is wanted").getByText("Saved").waitFor();
  await press("Prepare", card("Now"));
  await phase("prepared");
  const plan = card(`Plan 1: version ${NEW}`);
  for (const name of SERVERS) {
    const cells = plan.getByRole("row").filter({ hasText: name }).getByRole("cell");
    assert.deepEqual((await cells.allTextContents()).slice(1, 3), [OLD, NEW]);
  }
  await holds(page, "updates-prepared");
}

async function lookedAt() {
  step("nothing is begun before every account was looked at, and every server has the version");
  assert.equal(await card("Now").getByRole("button", { name: "Update the servers" }).count(), 0);
  await press("Check", card("Now"));
  await well("Check");
  await press("Download", card("Now"));
  await well("Download");
  await card("Now").getByRole("button", { name: "Update the servers" }).waitFor();
  await holds(page, "updates-ready");
}

async function applied() {
  step("the servers change one after the other, the page goes on while its own does, and programs come again");
  await press("Update the servers", card("Now"));
  await picture(page, "updates-apply");
  await press("Update the servers", dialog("Update the servers"));
  await phase("goes on");
  await phase("all servers changed");
  await runs(NEW);
  assert.equal(await asks("told"), "it was told so");
  assert.equal(await asks("arrives", USER), "arrived");
  await card("History").getByRole("row").filter({ hasText: "all servers changed" }).first().waitFor();
  await holds(page, "updates-rolled");
}

async function back() {
  step("there is a way back that loses nothing");
  await press("Go back", card("Now"));
  await press("Go back", dialog("Go back"));
  await phase("gone back");
  await runs(OLD);
  assert.equal(await asks("arrives", USER), "arrived");
}

async function finished() {
  step("done again, it is finished by who says that everything works");
  await press("Prepare", card("Now"));
  await phase("prepared");
  for (const name of ["Check", "Download"]) {
    await press(name, card("Now"));
    await well(name);
  }
  await press("Update the servers", card("Now"));
  await press("Update the servers", dialog("Update the servers"));
  await phase("all servers changed");
  await press("Finish", card("Now"));
  await press("Finish", dialog("Finish"));
  await phase("finished");
  await runs(NEW);
  const { items } = await api("/updates/history");
  assert.ok(items.some((event) => event.what === "finish"), JSON.stringify(items));
  await holds(page, "updates-finished");
  noMore();
}

await walk(page, close, prepared, lookedAt, applied, back, finished);

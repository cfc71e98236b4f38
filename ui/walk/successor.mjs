// The main node itself is changed: the page that led the switch says where it goes on, and who is signed in still is there.

import assert from "node:assert/strict";
import { asks, noMore } from "./asks.mjs";
import { holds } from "./browser.mjs";
import { DOMAIN, signedIn, step, walk } from "./console.mjs";

const { page, close, send, heading, card, dialog, press } = await signedIn("/migration", {
  // The machine that was the main node changes nothing.
  refusals: [421],
});
const phase = (name) => card("fresh takes the place of main").getByText(name, { exact: true }).first().waitFor({ timeout: 120_000 });

async function switched() {
  step("the main node's place is taken while its console is open");
  await press("Make the command");
  const command = await card("Paste this on the new machine").locator("code").first().textContent();
  assert.equal(await asks("succeed", "fresh", ...command.split(" ")), "prepared");
  await phase("Following");
  await page.waitForFunction(
    async () => {
      const now = await (await fetch("/api/v1/migration")).json();
      return now.copies.equal === now.copies.accounts && now.checks.every((check) => check.is_well);
    },
    null,
    { timeout: 120_000, polling: 500 },
  );
  await press("Switch…");
  await press("Switch", dialog("Switch"));
  await phase("Switched");
}

async function elsewhere() {
  step("the page says who is the main node now, and offers nothing that only that one can do");
  await page.getByText("fresh is the main node now.").waitFor();
  await page.getByRole("button", { name: "Go back…" }).waitFor({ state: "detached" });
  assert.equal(await page.getByText("only the main node changes it").count(), 0);
  await holds(page, "successor");
  const made = await send("POST", "/users", { address: `late@${DOMAIN}`, password: "a long enough one" });
  assert.match(made.body.remedy, /fresh/);
  step("there the same person is signed in, and lets the old machine go");
  await page.goto(`${await asks("where", "fresh")}/admin/migration`);
  await phase("Switched");
  await press("Let the old machine go…");
  await dialog("Let the old machine go").getByRole("textbox").fill("main");
  await press("Let the old machine go", dialog("Let the old machine go"));
  await page.getByText("Done", { exact: true }).first().waitFor({ timeout: 120_000 });
  await heading("Migration");
  const late = await send("POST", "/users", { address: `late@${DOMAIN}`, password: "a long enough one" });
  assert.equal(late.status, 201);
  noMore();
}

await walk(page, close, switched, elsewhere);

// After the switch: settings that still name the old machine are shown as a difference, and accepted.

import assert from "node:assert/strict";
import { asks, noMore } from "./asks.mjs";
import { holds } from "./browser.mjs";
import { signedIn, step, walk } from "./console.mjs";

const { page, close, api, card, press } = await signedIn("/migration");

async function accepted() {
  step("what names the old machine is shown as it is and as it should be, and changed when somebody wants that");
  const [old, fresh] = [await asks("address", "alpha"), await asks("address", "fresh")];
  const left = card("What comes now");
  await left.getByRole("deletion").getByText(old).waitFor();
  await left.getByRole("insertion").getByText(`${fresh}/32`).waitFor();
  await holds(page, "afterwards");
  await press("Change these");
  await left.getByText("No setting names alpha.").waitFor();
  assert.equal((await api("/settings/mail.networks")).value, `198.51.100.0/24 ${fresh}/32`);
}

async function led() {
  step("a name in DNS is told to lead to the old machine, or is not known");
  await card("What comes now").getByRole("region", { name: "Names in DNS" }).getByText("mail.tern.test (A)").waitFor();
  noMore();
}

await walk(page, close, accepted, led);

// What an administrator does with the mail flow, done by a browser: a relay host that doesn't answer, what waits because
// of it, held, let go, sent elsewhere and deleted; what became of a message; limits and networks with wrong values, their
// history and the way back; and who did all that.

import assert from "node:assert/strict";
import { asks, noMore } from "./asks.mjs";
import { holds, picture } from "./browser.mjs";
import { DOMAIN, LOGIN, signedIn, step, walk } from "./console.mjs";

const { page, close, api, go, dialog, field, press, said, undo } = await signedIn();
const FAR = ["zoe@far.test", "ben@far.test", "eve@far.test"];
const SECRET = "never shown again";

/** The form of one setting. */
const setting = (label) => page.locator("form.setting").filter({ has: page.getByLabel(label, { exact: true }) });
const row = (recipient) => page.getByRole("row").filter({ hasText: recipient });
const waiting = async (recipient) => (await api("/queue?limit=100")).items.find((one) => one.recipients.includes(recipient));

let closed = "";

async function relay() {
  step("a relay host is set, with a password that nobody is shown again");
  closed = await asks("closed");
  await go("/mail/relay");
  await field("Relay host").fill(closed);
  await press("Save", setting("Relay host"));
  await said("Setting saved");
  assert.equal((await api("/settings/relay.host")).value, closed);
  const password = page.getByLabel("Password there", { exact: true });
  await password.fill(SECRET);
  await press("Save", setting("Password there"));
  await page.getByRole("status").getByText("relay.password").first().waitFor();
  await go("/mail/relay");
  await page.getByRole("heading", { name: "History" }).waitFor();
  assert.ok(!(await page.content()).includes(SECRET));
  await holds(page, "relay");
}

async function queue() {
  step("what can't go waits, and says why");
  for (const recipient of FAR) assert.equal(await asks("send", recipient), "accepted");
  await go("/mail/queue");
  for (const recipient of FAR) await row(recipient).getByText("Waiting").waitFor();
  await page.getByText(`host:${closed}`).first().waitFor();
  await holds(page, "queue");
  step("one of them is found by its recipient");
  await page.getByRole("searchbox", { name: "Recipient" }).fill("zoe@*");
  await page.keyboard.press("Enter");
  await row("ben@far.test").waitFor({ state: "detached" });
  step("it is held, let go by Undo, and held again");
  await page.getByRole("checkbox", { name: "Select zoe@far.test" }).check();
  await press("Hold");
  await said("Held");
  await row("zoe@far.test").getByText("Held").waitFor();
  assert.equal((await waiting("zoe@far.test")).state, "held");
  await undo();
  await row("zoe@far.test").getByText("Waiting").waitFor();
  await page.getByRole("checkbox", { name: "Select zoe@far.test" }).check();
  await press("Hold");
  await row("zoe@far.test").getByText("Held").waitFor();
  await go("/mail/queue");
  await page.getByLabel("State").selectOption("true");
  await row("ben@far.test").waitFor({ state: "detached" });
  await row("zoe@far.test").waitFor();
  step("one is deleted, after a word was typed");
  await go("/mail/queue");
  await page.getByRole("checkbox", { name: "Select eve@far.test" }).check();
  await page.getByRole("toolbar").getByRole("button", { name: "Delete" }).click();
  const deletes = dialog("Delete 1 message from the queue?");
  const forEver = deletes.getByRole("button", { name: "Delete for ever" });
  assert.ok(await forEver.isDisabled());
  await deletes.getByRole("textbox").fill("delete");
  await picture(page, "queue-delete");
  await forEver.click();
  await row("eve@far.test").waitFor({ state: "detached" });
  assert.equal(await waiting("eve@far.test"), undefined);
}

async function elsewhere() {
  step("a way that is none is refused with what to write instead, a good one is taken");
  await page.getByRole("checkbox", { name: "Select ben@far.test" }).check();
  await press("Send elsewhere");
  const asked = dialog("Send elsewhere");
  await asked.getByRole("textbox", { name: "To" }).fill("no such: way");
  await press("Send elsewhere", asked);
  await asked.getByRole("alert").waitFor();
  assert.equal(await asked.getByRole("textbox", { name: "To" }).inputValue(), "no such: way");
  await holds(page, "queue-reroute-refused");
  const far = await asks("far");
  await asked.getByRole("textbox", { name: "To" }).fill(far);
  await press("Send elsewhere", asked);
  await said("Goes another way now");
  assert.equal(await asks("arrived", "ben@far.test"), "arrived");
  step("what is held does not go when it is tried, what is let go does");
  await page.getByRole("checkbox", { name: "Select zoe@far.test" }).check();
  await press("Send elsewhere");
  await dialog("Send elsewhere").getByRole("textbox", { name: "To" }).fill(far);
  await press("Send elsewhere", dialog("Send elsewhere"));
  await said("Goes another way now");
  await page.getByRole("checkbox", { name: "Select zoe@far.test" }).check();
  await press("Release");
  await said("Released");
  assert.equal(await asks("arrived", "zoe@far.test"), "arrived");
  await page.getByText("Nothing waits.").waitFor();
}

async function trace() {
  step("what became of a message is told step by step, in the words of the other server");
  await go("/mail/trace");
  await page.getByRole("searchbox", { name: "Address, Message-ID or id of a message" }).fill("zoe@far.test");
  await press("Search", page.locator("main"));
  const message = page.locator("section.message").first();
  await message.getByText("Sent on").waitFor();
  await message.getByText("Queued").waitFor();
  await message.getByText(/^250 /).waitFor();
  await holds(page, "trace");
  step("and of none, that there is none");
  await go("/mail/trace?text=nobody%40nowhere.test");
  await page.getByText("No message fits.").waitFor();
}

async function wrong() {
  step("a limit that is none and a network that is none are refused, and what was typed stays");
  await go("/mail/limits");
  const size = setting("Largest message, in bytes");
  await size.getByRole("textbox").fill("٣ apples");
  await press("Save", size);
  await size.getByRole("alert").waitFor();
  assert.equal(await size.getByRole("textbox").inputValue(), "٣ apples");
  await holds(page, "limits-refused");
  await size.getByRole("textbox").fill("1048576");
  await press("Save", size);
  await said("Setting saved");
  assert.equal((await api("/settings/mail.message-bytes")).value, "1048576");
  assert.equal(await asks("too-large", LOGIN), "552");
  await go("/mail/networks");
  await page.getByRole("textbox", { name: "My networks" }).fill("999.1.1.1/99");
  await page.keyboard.press("Enter");
  await press("Save", setting("My networks"));
  await page.getByRole("alert").waitFor();
  await page.getByText("999.1.1.1/99").first().waitFor();
  await press("Discard");
}

async function history() {
  step("each change is in the history, and is undone there");
  await go("/settings/mail.message-bytes");
  const line = page.locator("ul.history li").first();
  await line.getByText("1048576").waitFor();
  await line.getByText(LOGIN).waitFor();
  await holds(page, "setting-history");
  await line.getByRole("button", { name: /Undo/ }).click();
  await page.getByText("undid change").first().waitFor();
  assert.notEqual((await api("/settings/mail.message-bytes")).value, "1048576");
  step("a value goes back to its default");
  await go("/mail/relay");
  await press("Back to default", setting("Relay host"));
  await said("Setting saved");
  assert.equal((await api("/settings/relay.host")).from, "default");
}

async function audit() {
  step("who did what is written down, and secrets are not");
  await go("/audit?text=queue");
  const lines = page.getByRole("row").filter({ hasText: "POST /api/v1/queue" });
  await lines.first().getByText(LOGIN).waitFor();
  assert.ok((await lines.count()) >= 5, `${await lines.count()} lines about the queue`);
  await page.getByRole("row").filter({ hasText: "Refused" }).first().waitFor();
  await holds(page, "audit");
  await go("/audit?text=relay.password");
  await page.getByRole("row").filter({ hasText: "relay.password" }).first().waitFor();
  assert.ok(!(await page.content()).includes(SECRET));
  await go(`/audit?who=nobody@${DOMAIN}`);
  await page.getByText("Nothing is recorded yet.").waitFor();
}

await walk(page, close, relay, queue, elsewhere, trace, wrong, history, audit);
noMore();

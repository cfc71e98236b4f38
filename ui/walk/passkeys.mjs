// Passkeys in a browser with a virtual authenticator (the WebAuthn domain of the DevTools protocol), against a running
// installation:
//   BASE=https://mail.tern.test:8443 LOGIN=... PASSWORD=... node walk/passkeys.mjs
// It makes one, signs in with it as the second factor, then (the console of the installation says so meanwhile, see
// tests/all/passkeys.rs) with nothing else, and takes it away. It ends with 1 at the first thing that isn't as it
// should be. RESOLVE maps the host's name to an address, SPKI is the hash of the certificate's key: browsers give no
// passkeys to pages with a certificate that they don't trust.

import assert from "node:assert/strict";
import { holds, open } from "./browser.mjs";

const { BASE, LOGIN, PASSWORD, RESOLVE, SPKI } = process.env;
const more = [`--host-resolver-rules=${RESOLVE}`, `--ignore-certificate-errors-spki-list=${SPKI}`];
const { page, close } = await open({ more, trusts: true });
const step = (text) => console.log(`- ${text}`);
const devtools = await page.context().newCDPSession(page);
await devtools.send("WebAuthn.enable");
const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true };
const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
  options: { ...options, automaticPresenceSimulation: true },
});
const credentials = async () => (await devtools.send("WebAuthn.getCredentials", { authenticatorId })).credentials;

async function fill() {
  await page.goto(`${BASE}/admin/me`);
  await page.getByLabel("Address or login").fill(LOGIN);
  await page.getByLabel("Password").fill(PASSWORD);
}

async function leave() {
  await page.evaluate(() => fetch("/api/v1/session", { method: "DELETE", headers: { "Content-Type": "application/json" } }));
}

const mine = () => page.getByRole("heading", { name: "Passkeys" });

step("the password lets in");
await fill();
await page.keyboard.press("Enter");
await mine().waitFor();

step("a passkey is made, with the password once more, and not with a wrong one");
await page.getByRole("button", { name: "New passkey" }).click();
const dialog = page.getByRole("dialog", { name: "New passkey" });
await dialog.getByRole("textbox", { name: "Name" }).fill("Walking key");
await dialog.getByLabel("Password").fill("not the password");
await dialog.getByRole("button", { name: "Make" }).click();
await dialog.getByRole("alert").waitFor();
assert.deepEqual((await page.evaluate(async () => (await fetch("/api/v1/me/passkeys")).json())).items, []);
await devtools.send("WebAuthn.clearCredentials", { authenticatorId });
await dialog.getByLabel("Password").fill(PASSWORD);
await dialog.getByRole("button", { name: "Make" }).click();
await dialog.waitFor({ state: "detached" });
await page.getByText("Walking key").waitFor();
assert.equal((await credentials()).length, 1);
await holds(page, "passkeys");

step("it gets another name");
await page.getByRole("button", { name: "Rename" }).click();
const naming = page.getByRole("dialog", { name: "Rename" });
await naming.getByRole("textbox", { name: "Name" }).fill("Pocket key");
await naming.getByRole("button", { name: "Rename" }).click();
await page.getByText("Pocket key").waitFor();

step("the password alone no longer lets in; with the passkey it does");
await leave();
await fill();
await page.keyboard.press("Enter");
await page.getByRole("button", { name: "Use a passkey" }).waitFor();
await holds(page, "sign-in-passkey");
await page.getByRole("button", { name: "Use a passkey" }).click();
await mine().waitFor();

step("a copy of it is noticed: its count goes back");
const [kept] = await credentials();
await devtools.send("WebAuthn.removeCredential", { authenticatorId, credentialId: kept.credentialId });
await devtools.send("WebAuthn.addCredential", { authenticatorId, credential: { ...kept, signCount: 0 } });
await leave();
await fill();
await page.getByRole("button", { name: "Use a passkey" }).click();
await page.getByRole("alert").getByText("wrong-passkey", { exact: true }).waitFor();

step("the genuine one still does, without a password where the installation allows it");
await devtools.send("WebAuthn.removeCredential", { authenticatorId, credentialId: kept.credentialId });
await devtools.send("WebAuthn.addCredential", { authenticatorId, credential: { ...kept, signCount: kept.signCount + 10 } });
console.log("ready for passkeys alone");
await new Promise((resolve) => process.stdin.once("data", resolve));
await page.goto(`${BASE}/admin/me`);
await page.getByRole("button", { name: "Use a passkey" }).click();
await mine().waitFor();

step("it is taken away, with the password");
await page.getByText("Pocket key").waitFor();
await page.locator(".line", { hasText: "Pocket key" }).getByRole("button", { name: "Remove" }).click();
const removal = page.getByRole("dialog", { name: "Remove Pocket key?" });
await removal.getByLabel("Password").fill(PASSWORD);
await removal.getByRole("button", { name: "Remove" }).click();
await page.getByText("You have no passkeys.").waitFor();
await leave();
await close();
process.exit(0);

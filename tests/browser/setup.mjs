// Walks the whole setup in a browser. Arguments: the link, "script" or "no-script", and a folder for
// pictures if they are wanted.
// Every page: nothing in the browser's console, no request to anybody else, nothing that axe finds (WCAG 2.2 A and AA)
// in light and dark, nothing wider than 320 pixels on a narrow screen. Ends with 0 when all of it held.
// TOOLS names the folder that has playwright-core and axe-core.
import { readFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { asks, noMore } from "../../ui/walk/asks.mjs";

const require = createRequire(join(process.env.TOOLS ?? process.cwd(), "package.json"));
const { chromium } = require("playwright-core");
const [link, mode, pictures] = process.argv.slice(2);
const withScript = mode === "script";
const origin = new URL(link).origin;
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const findings = [];
let ended = false;
if (pictures) mkdirSync(pictures, { recursive: true });
const shot = async (name) => {
  if (pictures) await page.screenshot({ path: `${pictures}/${mode}-${name}.png`, fullPage: true });
};

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
let context;
let page;
// A browser that was never here.
async function begin() {
  await context?.close();
  context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: withScript, locale: "en-GB" });
  page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("console", (message) => {
    // The answer to a form or a link that was not taken is told there, too.
    if (ended && message.text().includes("ERR_CONNECTION")) return;
    if (["error", "warning"].includes(message.type()) && !/4(22|03)/.test(message.text())) {
      findings.push(`${page.url()}: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => findings.push(`${page.url()}: ${error}`));
  page.on("request", (request) => {
    const from = new URL(request.url());
    if (from.origin !== origin) findings.push(`${page.url()} asks ${from.origin}`);
  });
}
await begin();

// axe is a script: a browser without scripts still runs what its tools put in, but a strict policy would stop a tag.
async function looked(name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    if (withScript) {
      await page.evaluate(axe);
      const { violations } = await page.evaluate((only) => window.axe.run(document, { runOnly: only }), tags);
      for (const one of violations) {
        findings.push(`${name}, ${colorScheme}: ${one.id}: ${one.nodes.map((node) => node.html).join(" | ").slice(0, 400)}`);
      }
    }
    await shot(`${name}-${colorScheme}`);
  }
  await page.setViewportSize({ width: 320, height: 640 });
  if (withScript) {
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > 320) findings.push(`${name}: ${width} pixels wide on a screen of 320`);
  }
  await shot(`${name}-narrow`);
  await page.setViewportSize({ width: 1200, height: 800 });
}

async function at(step) {
  await page.waitForURL(`**/setup/${step}`);
  await looked(step);
}

const go = (name) => page.getByRole("button", { name, exact: true }).first().click();

// Without a script the code is typed.
async function follow(link) {
  await page.goto(link);
  if (withScript) return;
  await page.getByLabel("Code of the link").fill(new URL(link).hash.slice(1));
  await go("Begin");
}
if (!withScript) {
  await page.goto(link);
  await looked("entrance");
}
await follow(link);
await at("administrator");
if (new URL(page.url()).hash) findings.push("the code is still in the address");
// A form that is not taken says why, and keeps what was typed.
await page.getByLabel("Your name").fill("Ana Example");
await page.locator("#local_part").fill("ana");
await page.locator("#password").fill("correct horse");
await page.locator("#again").fill("another horse");
await go("Continue");
await page.getByRole("alert").waitFor();
await looked("mistakes");
if ((await page.getByLabel("Your name").inputValue()) !== "Ana Example") findings.push("what was typed is lost");
await page.locator("#password").fill("correct horse");
await page.locator("#again").fill("correct horse");
// The keyboard alone is enough.
await page.locator("#again").press("Enter");
await at("place");
await page.locator("#url").fill("https://mail.tern.test");
await page.locator("#domain").fill("tern.test");
await go("Continue");
await at("checks");
await page.getByText("Every service listens.").waitFor();
await go("Continue");
await at("dns");
await page.getByText("records are as they should be").waitFor();
await looked("dns-found");
await go("Continue");
await at("certificate");
// Another language, and back.
await page.getByRole("link", { name: "Deutsch" }).click();
await page.getByRole("heading", { name: "Zertifikat", level: 1 }).waitFor();
await looked("certificate-de");
await page.getByRole("link", { name: "English" }).click();
await go("Continue");
await at("storage");
// The browser is closed in the middle: its link is used up, another one leads to where it was left.
await begin();
await follow(link);
await page.getByRole("alert").waitFor();
await follow(await asks("link"));
await at("storage");
await page.getByRole("link", { name: "Administrator" }).click();
await page.waitForURL("**/setup/administrator");
if ((await page.getByLabel("Your name").inputValue()) !== "Ana Example") findings.push("the answers are not prefilled");
await page.goto(`${origin}/setup/storage`);
await page.locator("#server_name").fill("alpha");
await go("Get the command");
await page.getByText("sterna init --join").waitFor();
await looked("storage-invited");
// The server joins while the page is open: it is offered and ticked by itself with a script, on the next look without.
const command = await page.locator(".copied").filter({ hasText: "--join" }).first().textContent();
await asks("join", "alpha", command);
const offered = page.locator("input[name=selected][value=alpha]");
for (let n = 0; n < 100 && !withScript && !(await offered.isVisible()); n += 1) {
  await page.getByRole("link", { name: "Look again" }).click();
  await page.waitForLoadState();
}
await offered.waitFor();
if (!(await offered.isChecked())) findings.push("a server that joined is not selected");
await page.getByText("the same as here").first().waitFor();
await page.locator("input[name=selected][value=main]").uncheck();
await looked("storage-joined");
if (await page.locator("input[name=selected][value=main]").isChecked()) findings.push("what was unticked came back");
await go("Continue");
await at("backup");
await go("Continue");
await at("people");
await page.locator("#people").fill("ben, Ben Example\nzoe");
await go("Continue");
await at("proof");
const lives = await asks("where", "ben@tern.test");
if (lives !== "alpha") findings.push(`ben lives on ${lives}`);
await go("Send the message");
await page.getByText("has arrived in the mailbox of ana@tern.test").waitFor();
await looked("proof-arrived");
// The node starts again under its name now: what the browser asks for meanwhile may be in vain.
ended = true;
await go("End the setup");
await page.getByRole("link", { name: "Open the console" }).waitFor();
await looked("over");
await browser.close();
noMore();
for (const finding of findings) console.log(finding);
process.exit(findings.length === 0 ? 0 : 1);

// The browser, and what every walk holds it to: no error in its console, nothing that axe finds, nothing wider than the
// window. TOOLS names the folder that has playwright-core and axe-core.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const tools = process.env.TOOLS ?? process.cwd();
const require = createRequire(join(tools, "package.json"));
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const { chromium } = require("playwright-core");

/** How long something on a page may take, in milliseconds: machines that run tests are busy. */
const PATIENCE_MS = Number(process.env.PATIENCE ?? 60_000);

/** What is measured: the success criteria of WCAG 2.2 up to level AA. */
const CRITERIA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Statuses that are part of most walks. Browsers write every refused request into the console; who isn't signed in is
 * told so by one, and a wrong password, a conflict, a taken name and a value that can't be are walked into on purpose.
 */
const REFUSALS = [401, 409, 412, 422];

/** What is looked for on most installations in vain: no machine takes another one's place. */
const ABSENT = "/api/v1/migration";

/** Opens a browser of its own, with more arguments if need be; one that `trusts` takes the certificate as it is. `close` ends it and fails if its console had an error, other than these refusals. */
export async function open({ language = "en", width = 1280, more = [], trusts = false, refusals = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "sterna-walk-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    viewport: { width, height: 900 },
    locale: language,
    ignoreHTTPSErrors: !trusts,
    args: [...ARGUMENTS, ...more],
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = context.pages()[0] ?? (await context.newPage());
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    const text = `${message.text()} ${message.location().url}`;
    const isRefusal = [...REFUSALS, ...refusals].some((status) => text.includes(`status of ${status}`));
    const isAbsent = text.includes("status of 404") && text.endsWith(ABSENT);
    if (!isRefusal && !isAbsent) errors.push(text);
  });
  const close = async () => {
    await context.close();
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(errors, []);
  };
  return { page, close };
}

/** Nothing that axe finds, in light and in dark; nothing wider than the window, also a narrow one. */
export async function holds(page, name) {
  await page.waitForFunction(() => !document.querySelector("main [aria-busy=true]"));
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(`${axe};0`);
    const { violations } = await page.evaluate((criteria) => window.axe.run(document, { runOnly: criteria }), CRITERIA);
    const found = violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
    assert.deepEqual(found, [], `${name}, ${colorScheme}`);
    await picture(page, `${name}-${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  const size = page.viewportSize();
  for (const width of [size.width, 320]) {
    await page.setViewportSize({ ...size, width });
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(beyond <= 0, `${name} is ${beyond} px wider than ${width} px`);
    if (width === 320) await picture(page, `${name}-320`);
  }
  await page.setViewportSize(size);
}

/** A picture to be looked at, where SHOTS names a folder. */
export async function picture(page, name) {
  if (!process.env.SHOTS) return;
  mkdirSync(process.env.SHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`), fullPage: true });
}

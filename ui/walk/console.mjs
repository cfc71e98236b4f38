// What walks through the console have in common: a browser that is signed in, the API beside it, and words for what
// people do.

import assert from "node:assert/strict";
import { open, picture } from "./browser.mjs";

export const { BASE, LOGIN, PASSWORD, DOMAIN } = process.env;
for (const [name, value] of Object.entries({ BASE, LOGIN, PASSWORD, DOMAIN })) assert.ok(value, `${name} is not set`);

export const step = (text) => console.log(`- ${text}`);

/** Walks step after step, and leaves a picture of where it failed. */
export async function walk(page, close, ...steps) {
  try {
    for (const one of steps) await one();
  } catch (error) {
    await picture(page, "failed");
    throw error;
  }
  await close();
  console.log("all is well");
}

/** A browser that signed in, on a page of the console. */
export async function signedIn(path = "/people/users", options = {}) {
  const { page, close } = await open(options);
  await page.goto(`${BASE}/admin${path}`);
  await page.getByLabel("Address or login").fill(LOGIN);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
  await page.getByRole("heading", { level: 1 }).waitFor();
  return { page, close, ...words(page) };
}

/** What is done on a page again and again. */
function words(page) {
  const send = (method, path, body) =>
    page.evaluate(
      async ([method, path, body]) => {
        const headers = { "Content-Type": "application/json" };
        const answer = await fetch(`/api/v1${path}`, { method, headers, body: body === null ? undefined : JSON.stringify(body) });
        return { status: answer.status, body: answer.status === 204 ? null : await answer.json() };
      },
      [method, path, body ?? null],
    );
  const field = (name, within = page) => within.getByRole("textbox", { name, exact: true });
  const press = (name, within = page) => within.getByRole("button", { name, exact: true }).click();
  /** A short message that wasn't heard before: two saves are told in the same words. */
  const said = async (text) => {
    const message = page.locator(".toast:not([data-heard])").filter({ hasText: text }).first();
    await message.evaluate((toast) => toast.setAttribute("data-heard", ""));
  };
  return {
    /** The API, as whoever is signed in. */
    send,
    api: async (path) => (await send("GET", path)).body,
    go: async (path) => {
      await page.goto(`${BASE}/admin${path}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.waitForFunction(() => !document.querySelector("main [aria-busy=true]"));
    },
    heading: (name) => page.getByRole("heading", { level: 1, name }).waitFor(),
    /** The card of a page with this title. */
    card: (title) => page.locator("section.card").filter({ has: page.getByRole("heading", { name: title, exact: true }) }).last(),
    dialog: (name) => page.getByRole("dialog", name ? { name } : undefined),
    field,
    press,
    said,
    /** Takes back what was told last. */
    undo: async () => {
      await page.locator(".toasts").getByRole("button", { name: "Undo" }).last().click();
      await said("Undone");
    },
  };
}

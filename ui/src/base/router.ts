// Where the user is: the path below /admin/, in the address bar and in the browser's history.

import { computed, signal } from "@preact/signals";
import { isUnsaved, leave, leaving } from "./unsaved.ts";

/** Where the console is served. */
export const BASE = "/admin";

const here = signal(read());

function read(): string {
  return location.pathname.slice(BASE.length) + location.search;
}

/** The path, without the query. */
export const path = computed(() => normal(here.value.split("?")[0] ?? ""));

/** What stands after the question mark. */
export const parameters = computed(() => new URLSearchParams(here.value.split("?")[1] ?? ""));

function normal(text: string): string {
  const trimmed = text.replace(/\/+$/, "");
  return trimmed === "" ? "/" : trimmed;
}

/** Which of the console's pages in the browser's history this is; so it is known which way the user went. */
let at = placeIn(history.state) ?? 0;
history.replaceState({ at }, "");

/** The user said that what was typed may be left. */
let isReleased = false;

/** The way back to what was typed is under way. */
let isReturning = false;

function placeIn(state: unknown): number | null {
  const place = (state as { at?: unknown } | null)?.at;
  return typeof place === "number" ? place : null;
}

/** Where the user wants to go; what was typed and isn't written is asked about first. */
export function follow(to: string): void {
  leave(() => go(to));
}

/** Goes to a path below the base. */
export function go(to: string, replace = false): void {
  if (!replace) at += 1;
  if (replace) history.replaceState({ at }, "", BASE + to);
  else history.pushState({ at }, "", BASE + to);
  here.value = to;
  if (!replace) scrollTo(0, 0);
}

/** Changes one part of the query, as filters do: the way back leads out of the page, not through every letter. */
export function setParameter(name: string, value: string): void {
  const next = new URLSearchParams(parameters.peek());
  if (value === "") next.delete(name);
  else next.set(name, value);
  const text = next.toString();
  go(path.peek() + (text ? `?${text}` : ""), true);
}

addEventListener("popstate", (event) => {
  const place = placeIn(event.state);
  // A place on the same page, as the link to the content leads to.
  if (place === null) {
    history.replaceState({ at }, "");
    return;
  }
  if (isReturning) {
    isReturning = false;
    return;
  }
  const by = place - at;
  if (by !== 0 && isUnsaved() && !isReleased) {
    // The browser has gone already: it comes back, and goes again if the user says so.
    isReturning = true;
    history.go(-by);
    leaving.value = () => {
      isReleased = true;
      history.go(by);
    };
    return;
  }
  isReleased = false;
  at = place;
  here.value = read();
});

/** Whether a path fits a pattern like `/people/users/:id`, and with which values. */
export function match(pattern: string, at: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const found = at.split("/");
  if (wanted.length !== found.length) return null;
  const values: Record<string, string> = {};
  for (const [index, piece] of wanted.entries()) {
    const text = found[index] ?? "";
    if (piece.startsWith(":")) values[piece.slice(1)] = decoded(text);
    else if (piece !== text) return null;
  }
  return values;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

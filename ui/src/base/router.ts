// Where the user is: the path below /admin/, in the address bar and in the browser's history.

import { computed, signal } from "@preact/signals";

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

/** Goes to a path below the base. */
export function go(to: string, replace = false): void {
  if (replace) history.replaceState(null, "", BASE + to);
  else history.pushState(null, "", BASE + to);
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

addEventListener("popstate", () => (here.value = read()));

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

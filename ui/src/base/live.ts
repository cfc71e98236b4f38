// What was read from the API, kept while somebody looks at it, and read again when it may have changed: because the
// server says so, because something here changed it, or because it moves by itself.

import { signal, useSignalEffect, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { asProblem, ask, signedOut, type Problem } from "./api.ts";
import type { Page } from "./types.ts";

/** What the server sends hints about (`/events`), and what of the API is read again then. */
const TOPICS: Record<string, string[]> = {
  people: ["/users", "/groups", "/accounts", "/resources", "/contacts", "/status"],
  domains: ["/domains", "/sources", "/status"],
  servers: ["/servers", "/tokens", "/status", "/migration"],
  // Where accounts are, and what there is to worry about, follows from jobs.
  jobs: ["/jobs", "/accounts", "/users", "/servers", "/status"],
  settings: ["/setting", "/domains"],
  administrators: ["/grants", "/roles", "/session"],
  updates: ["/updates", "/status"],
};

/** How often what is looked at is read again while the server can't send hints, in milliseconds. */
const POLL_MS = 15_000;

/** Answers that are kept although nobody looks at them. */
const KEPT_MAX = 200;

export interface Read<T> {
  data: T | null;
  etag: string | null;
  problem: Problem | null;
  loading: boolean;
}

interface Entry {
  state: Signal<Read<unknown>>;
  watchers: number;
  /** Counts reads, so that a late answer doesn't cover a newer one. */
  turn: number;
}

const entries = new Map<string, Entry>();

function entryOf(path: string): Entry {
  let entry = entries.get(path);
  if (!entry) {
    entry = { state: signal({ data: null, etag: null, problem: null, loading: true }), watchers: 0, turn: 0 };
    entries.set(path, entry);
    forgetSome();
  }
  return entry;
}

function forgetSome(): void {
  if (entries.size <= KEPT_MAX) return;
  for (const [path, entry] of entries) {
    if (entry.watchers === 0 && entries.size > KEPT_MAX / 2) entries.delete(path);
  }
}

/** Reads a path again. */
export async function reload(path: string): Promise<void> {
  const entry = entryOf(path);
  entry.turn += 1;
  const turn = entry.turn;
  entry.state.value = { ...entry.state.peek(), loading: true };
  try {
    const { data, etag } = await ask("GET", path);
    if (turn === entry.turn) entry.state.value = { data, etag, problem: null, loading: false };
  } catch (error) {
    if (turn === entry.turn) entry.state.value = { ...entry.state.peek(), problem: asProblem(error), loading: false };
  }
}

/** Reads again whatever is looked at below a path. */
export function changed(...prefixes: string[]): void {
  for (const [path, entry] of entries) {
    // What nobody looks at is read again when somebody does.
    const isMeant = prefixes.some((prefix) => path.startsWith(prefix)) && ![...going].some((gone) => isBelow(path, gone));
    if (entry.watchers > 0 && isMeant) void reload(path);
  }
}

/** What is being deleted: a hint that it changed must not ask for it again. */
const going = new Set<string>();

function isBelow(path: string, top: string): boolean {
  return path === top || path.startsWith(`${top}/`);
}

/** Deletes something that is looked at; afterwards the page must be left. */
export async function deleting<T>(paths: string[], work: () => Promise<T>): Promise<T> {
  for (const path of paths) going.add(path);
  try {
    return await work();
  } finally {
    // The page is left in the same turn.
    setTimeout(() => paths.forEach((path) => going.delete(path)));
  }
}

/** Forgets everything: somebody else may sign in now. */
export function forgetAll(): void {
  for (const [path, entry] of entries) if (entry.watchers === 0) entries.delete(path);
}

export interface Live<T> extends Read<T> {
  reload: () => void;
}

/** What is at a path, now and after every change; `everyMs` reads again although nobody says that it changed. */
export function useLive<T>(path: string | null, everyMs?: number): Live<T> {
  const entry = useMemo(() => (path === null ? null : entryOf(path)), [path]);
  useEffect(() => {
    if (path === null || entry === null) return;
    entry.watchers += 1;
    void reload(path);
    return () => {
      entry.watchers -= 1;
    };
  }, [path, entry]);
  useEffect(() => {
    if (path === null || everyMs === undefined) return;
    const timer = setInterval(() => {
      if (!document.hidden && !entry?.state.peek().loading) void reload(path);
    }, everyMs);
    return () => clearInterval(timer);
  }, [path, everyMs]);
  const state = (entry?.state.value ?? { data: null, etag: null, problem: null, loading: false }) as Read<T>;
  return { ...state, reload: () => path !== null && void reload(path) };
}

/** The pages of a listing that were asked for so far, as one list. */
export interface Pages<T> {
  items: T[];
  /** Servers that did not answer: what they have is missing. */
  unreachable: string[];
  problem: Problem | null;
  loading: boolean;
  more: (() => void) | null;
  reload: () => void;
}

/** A listing by cursor: the first page is live, more are fetched when they are asked for. `everyMs` reads the first one again by itself for as long as it is the only one: beside others its items would be shown twice. */
export function usePages<T>(path: string, everyMs?: number): Pages<T> {
  const rest = useMemo(
    () => signal<{ items: T[]; next: string | null; loading: boolean; problem: Problem | null; began: boolean }>({
      items: [],
      next: null,
      loading: false,
      problem: null,
      began: false,
    }),
    [path],
  );
  const { items, began, loading, problem } = rest.value;
  const first = useLive<Page<T>>(path, began ? undefined : everyMs);
  const next = began ? rest.value.next : (first.data?.next ?? null);
  const more = async (): Promise<void> => {
    if (next === null || rest.peek().loading) return;
    rest.value = { ...rest.peek(), loading: true, problem: null };
    try {
      const join = path.includes("?") ? "&" : "?";
      const { data } = await ask<Page<T>>("GET", `${path}${join}after=${encodeURIComponent(next)}`);
      rest.value = { items: [...rest.peek().items, ...data.items], next: data.next, loading: false, problem: null, began: true };
    } catch (error) {
      rest.value = { ...rest.peek(), loading: false, problem: asProblem(error) };
    }
  };
  return {
    items: [...(first.data?.items ?? []), ...items],
    unreachable: first.data?.unreachable ?? [],
    problem: first.problem ?? problem,
    // What is shown already is read again without a word.
    loading: (first.loading && first.data === null) || loading,
    more: next === null ? null : () => void more(),
    reload: () => {
      rest.value = { items: [], next: null, loading: false, problem: null, began: false };
      first.reload();
    },
  };
}

/** Whether the server's hints arrive. */
export const hinted = signal(false);

/** Listens to the server's hints while somebody is signed in; without them, reads again from time to time. */
export function useHints(isSignedIn: Signal<boolean>): void {
  useSignalEffect(() => {
    if (!isSignedIn.value || signedOut.value) return;
    const source = new EventSource("/api/v1/events");
    source.addEventListener("changed", (event: MessageEvent<string>) => {
      changed(...event.data.split(" ").flatMap((topic) => TOPICS[topic] ?? []));
    });
    source.onopen = () => {
      // What happened while nobody listened is not told again.
      if (!hinted.peek()) changed("/");
      hinted.value = true;
    };
    source.onerror = () => (hinted.value = false);
    const timer = setInterval(() => {
      if (!hinted.peek() && !document.hidden) changed("/");
    }, POLL_MS);
    return () => {
      source.close();
      clearInterval(timer);
      hinted.value = false;
    };
  });
}

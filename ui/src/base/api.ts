// The administration API: HTTP and JSON at /api/v1. Errors are problem documents (RFC 9457).

import { signal } from "@preact/signals";

const ROOT = "/api/v1";

/** How long an answer may take before the user is told that the server doesn't answer, in milliseconds. */
const ANSWER_TIMEOUT_MS = 60_000;

/** An error as the server tells it (RFC 9457), with what to do about it. */
export interface Problem {
  status: number;
  code: string;
  title: string;
  detail: string;
  remedy: string;
  existing?: string;
  main?: string;
}

/** What was answered. */
export interface Answer<T> {
  data: T;
  /** For `If-Match` of the next write. */
  etag: string | null;
  /** Whether a write changed anything. */
  changed: boolean;
}

/** A request that was refused, or that nobody answered. */
export class Failure extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

export type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE";

export interface Options {
  body?: unknown;
  ifMatch?: string | null;
  signal?: AbortSignal;
}

/** Set when the server no longer knows who we are: the sign-in page is shown over what was open. */
export const signedOut = signal(false);

/** How often somebody signed in: an answer to a request of before says nothing of who is signed in now. */
let signIns = 0;

/** Somebody signed in. */
export function nowSignedIn(): void {
  signIns += 1;
  signedOut.value = false;
}

/** Asks the API; the path begins after `/api/v1`. */
export async function ask<T>(method: Method, path: string, options: Options = {}): Promise<Answer<T>> {
  const headers: Record<string, string> = { Accept: "application/json" };
  // The server takes writes with this type only: other sites can't send it without being allowed to.
  if (method !== "GET") headers["Content-Type"] = "application/json";
  if (options.ifMatch) headers["If-Match"] = options.ifMatch;
  // A POST whose answer was lost is sent again, and done once.
  if (method === "POST") headers["Idempotency-Key"] = crypto.randomUUID();
  const limit = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const request: RequestInit = {
    method,
    headers,
    credentials: "same-origin",
    cache: "no-store",
    signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
  };
  if (options.body !== undefined) request.body = JSON.stringify(options.body);
  const turn = signIns;
  let response: Response;
  try {
    response = await fetchTwice(ROOT + path, request);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Failure(unreachable(String(error)));
  }
  if (!response.ok) throw new Failure(await problemOf(response, turn));
  return {
    data: response.status === 204 ? (undefined as T) : ((await response.json()) as T),
    etag: response.headers.get("ETag"),
    changed: response.headers.get("Sterna-Changed") !== "false",
  };
}

/** Connections break, most of all those that rested: what can be repeated without harm is. */
async function fetchTwice(path: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(path, request);
  } catch (error) {
    // What is gone can't be deleted a second time.
    if (request.signal?.aborted || request.method === "DELETE") throw error;
    return fetch(path, request);
  }
}

async function problemOf(response: Response, turn: number): Promise<Problem> {
  let problem: Problem;
  try {
    problem = (await response.json()) as Problem;
    if (typeof problem.code !== "string") throw new Error("no problem document");
  } catch {
    const detail = `${response.status} ${response.statusText}`.trim();
    problem = { status: response.status, code: "unexpected", title: "", detail, remedy: "" };
  }
  if (response.status === 401 && problem.code === "not-signed-in" && turn === signIns) signedOut.value = true;
  return problem;
}

function unreachable(detail: string): Problem {
  return { status: 0, code: "unreachable", title: "", detail, remedy: "" };
}

/** Part of a path that may hold any character. */
export function part(text: string | number): string {
  return encodeURIComponent(String(text));
}

/** A query string of what is there. */
export function query(values: Record<string, string | number | boolean | null | undefined>): string {
  const pairs = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  if (pairs.length === 0) return "";
  return `?${pairs.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join("&")}`;
}

/** Any error as a problem. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Failure) return error.problem;
  return { status: 0, code: "unexpected", title: "", detail: String(error), remedy: "" };
}

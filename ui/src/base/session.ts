// Who is signed in.

import { computed, signal } from "@preact/signals";
import { asProblem, ask, nowSignedIn, signedOut, type Problem } from "./api.ts";
import { forgetAll } from "./live.ts";
import { usePasskey } from "./passkeys.ts";
import type { Session } from "./types.ts";

/** `undefined` while nobody knows yet. */
export const session = signal<Session | null | undefined>(undefined);

/** Why it could not be found out who is signed in. */
export const sessionProblem = signal<Problem | null>(null);

export const isSignedIn = computed(() => !!session.value && !signedOut.value);

/** Finds out who is signed in. */
export async function whoAmI(): Promise<void> {
  sessionProblem.value = null;
  try {
    session.value = (await ask<Session>("GET", "/session")).data;
    signedOut.value = false;
  } catch (error) {
    const problem = asProblem(error);
    if (problem.status !== 401) sessionProblem.value = problem;
    session.value = null;
  }
}

/** Signs in; the server keeps the session in a cookie that no script can read. */
export async function signIn(login: string, password: string, code: string): Promise<void> {
  const body = code === "" ? { login, password } : { login, password, code };
  const { data } = await ask<Session>("POST", "/session", { body });
  nowSignedIn();
  session.value = data ?? (await ask<Session>("GET", "/session")).data;
}

/** Signs in with a passkey, besides the password where one was typed; `false` when no passkey was given. */
export async function signInByPasskey(login: string, password: string): Promise<boolean> {
  const { data: options } = await ask<Parameters<typeof usePasskey>[0]>("POST", "/session/passkey-challenge");
  const passkey = await usePasskey(options);
  if (!passkey) return false;
  const body = password === "" ? { passkey } : { login, password, passkey };
  const { data } = await ask<Session>("POST", "/session", { body });
  nowSignedIn();
  session.value = data ?? (await ask<Session>("GET", "/session")).data;
  return true;
}

/** Signs out, here and on the server. */
export async function signOut(): Promise<void> {
  await ask("DELETE", "/session");
  // Whom a provider signed in, it signs out.
  if (session.value?.openid) return location.assign("/admin/openid/logout");
  session.value = null;
  forgetAll();
}

// Short messages at the edge: what was done, with the way back, and what went wrong away from any form.

import { signal } from "@preact/signals";
import { asProblem, type Problem } from "../base/api.ts";
import { t } from "../base/i18n.ts";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";
import { remedyOf, titleOf } from "./problem.tsx";

/** How long a message stays that needs no answer, in milliseconds. Problems stay until they are closed. */
const STAYS_MS = 10_000;

/** Messages that are shown at once; the oldest makes room. */
const SHOWN_MAX = 4;

interface Toast {
  id: number;
  text: string;
  problem?: Problem;
  undo?: () => Promise<unknown>;
}

const toasts = signal<Toast[]>([]);
let last = 0;

function show(toast: Omit<Toast, "id">): void {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value, { ...toast, id }].slice(-SHOWN_MAX);
  if (!toast.problem) setTimeout(() => close(id), STAYS_MS);
}

function close(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Says that something was done; `undo` takes it back. */
export function done(text: string, undo?: () => Promise<unknown>): void {
  show({ text, undo });
}

/** Says that something went wrong. */
export function failed(error: unknown): void {
  const problem = asProblem(error);
  show({ text: titleOf(problem), problem });
}

/** Does something, and says what went wrong if it does; whether it went well. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.problem ? "bad" : "good"}`}>
          <Icon name={toast.problem ? "warning" : "check"} />
          <div>
            <strong>{toast.text}</strong>
            {toast.problem && (
              <>
                <p>{toast.problem.detail}</p>
                <p class="remedy">{remedyOf(toast.problem)}</p>
                <p class="code">{toast.problem.code}</p>
              </>
            )}
          </div>
          {toast.undo && <Button onPress={() => undone(toast)}>{t("undo")}</Button>}
          <Button kind="quiet" icon="close" label={t("close")} onPress={() => close(toast.id)} />
        </div>
      ))}
    </div>
  );
}

async function undone(toast: Toast): Promise<void> {
  close(toast.id);
  if (toast.undo && (await attempt(toast.undo))) done(t("undone"));
}

// What a walk can't do in its browser, and whoever runs it does: it says "? " and words on its output, and reads one line.

import { createInterface } from "node:readline";

let lines = null;

/** Whether there is somebody who answers. */
export const canAsk = process.env.ANSWERS === "yes";

/** Asks, and waits for the answer; a walk whose asker has gone ends. */
export async function asks(...words) {
  lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  console.log(`? ${words.join(" ")}`);
  const { value, done } = await lines.next();
  if (done) throw new Error(`nobody answers: ${words.join(" ")}`);
  return value;
}

/** No more questions: what was asked keeps the process alive otherwise. */
export function noMore() {
  process.stdin.destroy();
}

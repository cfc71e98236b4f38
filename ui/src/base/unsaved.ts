// What was typed and not written yet: whoever leaves it is asked first.

import { signal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";

/** Forms with something in them that isn't written. */
let forms = 0;

/** What is done when the user leaves all the same; null while nobody is asked. */
export const leaving = signal<(() => void) | null>(null);

export function isUnsaved(): boolean {
  return forms > 0;
}

/** Goes, or asks first. */
export function leave(go: () => void): void {
  if (isUnsaved()) leaving.value = go;
  else go();
}

/** Says of a form whether something in it isn't written. */
export function useUnsaved(is: boolean): void {
  // Before the browser can go anywhere: not when it has drawn the page.
  useLayoutEffect(() => {
    if (!is) return;
    forms += 1;
    return () => {
      forms -= 1;
    };
  }, [is]);
}

// The browser asks in its own words before it leaves the console.
addEventListener("beforeunload", (event) => {
  if (isUnsaved()) event.preventDefault();
});

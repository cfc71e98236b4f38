// Work that is begun only when the former is over: keys and clicks come faster than pages are drawn.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";

/** Whether it works, and the way to begin; what is asked meanwhile is left out. */
export function useOnce(): [boolean, (work: () => unknown) => Promise<void>] {
  const works = useRef(false);
  const [busy, setBusy] = useState(false);
  const once = async (work: () => unknown): Promise<void> => {
    if (works.current) return;
    works.current = true;
    try {
      const done = work();
      if (done instanceof Promise) {
        setBusy(true);
        await done;
      }
    } finally {
      works.current = false;
      setBusy(false);
    }
  };
  return [busy, once];
}

interface FormProps {
  class?: string;
  onSubmit: (event: Event) => unknown;
  onInput?: () => void;
  children: ComponentChildren;
}

/** A form that is not sent again while it is being sent. */
export function Form({ onSubmit, children, ...rest }: FormProps) {
  const [busy, once] = useOnce();
  const submit = (event: Event): void => {
    event.preventDefault();
    void once(() => onSubmit(event));
  };
  return (
    <form {...rest} aria-busy={busy} onSubmit={submit}>
      {children}
    </form>
  );
}

// Questions over the page: the browser's own modal dialog, which keeps the focus and gives it back.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { asProblem, type Problem } from "../base/api.ts";
import { t } from "../base/i18n.ts";
import { Button } from "./button.tsx";
import { useOnce } from "./once.tsx";
import { ProblemBox } from "./problem.tsx";

interface Props {
  title: string;
  wide?: boolean;
  /** Without it, the dialog stays until what it asks is done. */
  onClose?: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, wide, onClose, children }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement as HTMLElement | null;
    dialog?.showModal();
    return () => {
      dialog?.close();
      before?.focus?.();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      class={wide ? "wide" : ""}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
    >
      <header>
        <h2 id={heading}>{title}</h2>
        {onClose && <Button kind="quiet" icon="close" label={t("close")} onPress={onClose} />}
      </header>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  action: string;
  /** What must be typed before: for what can't be undone. */
  name?: string;
  danger?: boolean;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
}

/** Asks before something is done; what goes wrong is shown here, and the dialog stays. */
export function Confirm({ title, children, action, name, danger, onConfirm, onClose }: ConfirmProps) {
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, once] = useOnce();
  const field = useId();
  const fits = name === undefined || typed.trim() === name;
  const confirm = async (): Promise<void> => {
    setProblem(null);
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    if (fits) void once(confirm);
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        {children}
        {name !== undefined && (
          <p class="field">
            <label for={field}>{t("confirm.type", { name })}</label>
            <input
              id={field}
              value={typed}
              autocomplete="off"
              spellcheck={false}
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </p>
        )}
        {problem && <ProblemBox problem={problem} />}
        <footer class="actions">
          <Button onPress={onClose}>{t("cancel")}</Button>
          <Button type="submit" kind={danger ? "danger" : "primary"} disabled={!fits} busy={busy}>
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

// One box over everything (Ctrl-K, or /): type a name, an address, a setting or a Message-ID, and go there.

import { signal } from "@preact/signals";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "../base/i18n.ts";
import { follow } from "../base/router.ts";
import { Icon } from "../widgets/icon.tsx";
import { type Find, found, pages } from "./finds.ts";

/** How long nothing must be typed before the server is asked, in milliseconds. */
const PAUSE_MS = 150;

export const paletteOpen = signal(false);

export function Palette() {
  return paletteOpen.value ? <Box onClose={() => (paletteOpen.value = false)} /> : null;
}

function Box({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [text, setText] = useState("");
  const [answers, setAnswers] = useState<Find[]>([]);
  const [at, setAt] = useState(0);
  const trimmed = text.trim();
  const finds = [...pages(trimmed), ...(trimmed === "" ? [] : answers)];

  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  useEffect(() => {
    setAt(0);
    if (trimmed === "") return setAnswers([]);
    const stop = new AbortController();
    const timer = setTimeout(() => {
      found(trimmed, stop.signal).then(
        (finds) => !stop.signal.aborted && setAnswers(finds),
        () => undefined,
      );
    }, PAUSE_MS);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [trimmed]);
  useEffect(() => document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: "nearest" }), [at]);
  const take = (find: Find | undefined): void => {
    if (!find) return;
    onClose();
    follow(find.to);
  };
  const press = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0 && finds.length > 0) {
      event.preventDefault();
      // Keys can come faster than pages are drawn.
      setAt((old) => (old + step + finds.length) % finds.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      take(finds[at]);
    }
  };
  return (
    <dialog
      ref={dialog}
      class="palette"
      aria-label={t("search")}
      onCancel={onClose}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div class="box">
        <Icon name="search" />
        <input
          type="text"
          role="combobox"
          aria-expanded={finds.length > 0}
          aria-controls={`${id}-list`}
          aria-activedescendant={finds.length > 0 ? `${id}-${at}` : undefined}
          aria-autocomplete="list"
          aria-label={t("search.what")}
          placeholder={t("search.what")}
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={press}
        />
      </div>
      <ul id={`${id}-list`} role="listbox" aria-label={t("search.found")}>
        {finds.map((find, index) => (
          <li
            key={`${find.id} ${index}`}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onMouseMove={() => setAt(index)}
            onClick={() => take(find)}
          >
            <Icon name={find.icon} />
            <span class="title">{find.title}</span>
            <span class="soft">{find.note}</span>
          </li>
        ))}
      </ul>
      {finds.length === 0 && <p class="empty">{t("search.nothing")}</p>}
    </dialog>
  );
}

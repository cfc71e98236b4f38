// Things whose pages go by their names, and that get other names under somebody's eyes.

import { useEffect, useRef } from "preact/hooks";
import { part } from "./api.ts";
import { type Live, useLive } from "./live.ts";
import { go } from "./router.ts";
import type { Page } from "./types.ts";
import { isUnsaved } from "./unsaved.ts";

interface Named {
  id: string | number;
  name: string;
}

/** All of a collection, and the path of the one that was called so when the page was opened: it stays that one under whatever name. */
export function useNamed<T extends Named>(collection: string, name: string): { all: Live<Page<T>>; path: string | null } {
  const all = useLive<Page<T>>(collection);
  const known = useRef<T["id"] | null>(null);
  const items = all.data?.items ?? [];
  known.current ??= items.find((one) => one.name === name)?.id ?? null;
  const id = known.current;
  const now = items.find((one) => one.id === id)?.name;
  useEffect(() => {
    // The page begins anew under its new address; who is typing keeps what was typed instead.
    if (now !== undefined && now !== name && !isUnsaved()) go(`${collection}/${part(now)}`, true);
  }, [now]);
  return { all, path: all.data ? `${collection}/${part(id ?? name)}` : null };
}

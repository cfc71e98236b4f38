// Tables: real ones, with headers, that turn into cards where there is no room. Rows can be chosen.

import type { ComponentChildren } from "preact";
import { t } from "../base/i18n.ts";

export interface Column<T> {
  title: string;
  /** Numbers stand at the end of their column. */
  numeric?: boolean;
  cell: (row: T) => ComponentChildren;
}

interface Props<T> {
  caption: string;
  columns: Column<T>[];
  rows: T[];
  keyOf: (row: T) => string;
  /** What is said when there are none. */
  empty: ComponentChildren;
  chosen?: Set<string>;
  /** How a row is called, for the box in front of it. */
  nameOf?: (row: T) => string;
  onChoose?: (chosen: Set<string>) => void;
}

export function Table<T>({ caption, columns, rows, keyOf, empty, chosen, nameOf, onChoose }: Props<T>) {
  if (rows.length === 0) return <p class="empty">{empty}</p>;
  const all = chosen !== undefined && rows.every((row) => chosen.has(keyOf(row)));
  const toggle = (keys: string[], on: boolean): void => {
    const next = new Set(chosen);
    for (const key of keys) {
      if (on) next.add(key);
      else next.delete(key);
    }
    onChoose?.(next);
  };
  return (
    <div class="table" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="hidden-but-read">{caption}</caption>
        <thead>
          <tr>
            {chosen && (
              <th scope="col" class="choice">
                <input
                  type="checkbox"
                  aria-label={t("choose.all")}
                  checked={all}
                  onChange={(event) => toggle(rows.map(keyOf), event.currentTarget.checked)}
                />
              </th>
            )}
            {columns.map((column) => (
              <th scope="col" key={column.title} class={column.numeric ? "numeric" : ""}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = keyOf(row);
            return (
              <tr key={key} class={chosen?.has(key) ? "chosen" : ""}>
                {chosen && (
                  <td class="choice">
                    <input
                      type="checkbox"
                      aria-label={t("choose.row", { name: nameOf?.(row) ?? key })}
                      checked={chosen.has(key)}
                      onChange={(event) => toggle([key], event.currentTarget.checked)}
                    />
                  </td>
                )}
                {columns.map((column) => (
                  <td key={column.title} data-title={column.title} class={column.numeric ? "numeric" : ""}>
                    {column.cell(row)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** The way to the next page of a listing. */
export function More({ more, loading }: { more: (() => void) | null; loading: boolean }) {
  if (more === null) return null;
  return (
    <p class="more">
      <button type="button" class="button" onClick={more} aria-busy={loading}>
        {t("more")}
      </button>
    </p>
  );
}

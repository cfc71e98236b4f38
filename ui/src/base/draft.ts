// What a form has that is not written yet, and how it becomes a request: only what was changed is sent, so that two
// people who change different things don't undo each other's work.

export type Values = Record<string, unknown>;

/** What is at a name; a dot leads into a member. */
export function valueAt(data: unknown, name: string): unknown {
  let value = data;
  for (const piece of name.split(".")) {
    if (value === null || typeof value !== "object") return undefined;
    value = (value as Values)[piece];
  }
  return value;
}

/** Names with dots as members of members. */
export function nested(values: Values): Values {
  const body: Values = {};
  for (const [name, value] of Object.entries(values)) {
    const pieces = name.split(".");
    let at = body;
    for (const piece of pieces.slice(0, -1)) at = (at[piece] ??= {}) as Values;
    at[pieces.at(-1)!] = value;
  }
  return body;
}

export function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}

/** What of the draft is other than what is there. */
export function differing(draft: Values, data: unknown): Values {
  return Object.fromEntries(Object.entries(draft).filter(([name, value]) => !same(value, valueAt(data, name))));
}

/** What another wrote meanwhile, where we write something else. */
export interface Clash {
  name: string;
  before: unknown;
  theirs: unknown;
  ours: unknown;
}

/** Where two changes of the same thing meet; what both changed alike is none. */
export function clashes(draft: Values, before: unknown, now: unknown): Clash[] {
  const all = Object.entries(draft).map(([name, ours]) => {
    return { name, before: valueAt(before, name), theirs: valueAt(now, name), ours };
  });
  return all.filter(({ before, theirs, ours }) => !same(before, theirs) && !same(theirs, ours));
}

/** The former values of what is in a draft: what undoes it. */
export function undoing(draft: Values, before: unknown): Values {
  return Object.fromEntries(Object.keys(draft).map((name) => [name, valueAt(before, name) ?? null]));
}

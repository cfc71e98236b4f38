// Lines of numbers over time: what is drawn of them, and what is said of them. No page, no server.

/** One line: what was measured at each step of time; null where nothing was. */
export interface Line {
  name: string;
  values: (number | null)[];
}

/** The next round number at or above: what an axis ends with. */
export function ceiling(value: number): number {
  if (!(value > 0)) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((step) => step * size >= value) ?? 10;
  return step * size;
}

/** The highest of all values; 0 when there is none. */
export function highest(lines: Line[]): number {
  return lines.reduce((top, line) => line.values.reduce<number>((top, value) => Math.max(top, value ?? 0), top), 0);
}

/** The path of a line in a picture; it stops where nothing was measured, and one value alone is a point. */
export function path(values: (number | null)[], top: number, width: number, height: number): string {
  const across = values.length > 1 ? width / (values.length - 1) : 0;
  const parts: string[] = [];
  let isDrawing = false;
  values.forEach((value, at) => {
    if (value === null) {
      isDrawing = false;
      return;
    }
    const x = (at * across).toFixed(1);
    const y = (height - (Math.min(Math.max(value, 0), top) / top) * height).toFixed(1);
    const isAlone = !isDrawing && (values[at + 1] ?? null) === null;
    parts.push(`${isDrawing ? "L" : "M"}${x} ${y}${isAlone ? "h0.1" : ""}`);
    isDrawing = true;
  });
  return parts.join("");
}

/** What several lines are together at each step: by default their sum. */
export function together(lines: Line[], join: (one: number, other: number) => number = (one, other) => one + other): (number | null)[] {
  const length = Math.max(0, ...lines.map((line) => line.values.length));
  return Array.from({ length }, (_, at) => {
    const there = lines.map((line) => line.values[at] ?? null).filter((value) => value !== null);
    return there.length === 0 ? null : there.reduce((one, other) => join(one, other));
  });
}

/** The last value that was measured, and the highest with its place. */
export function ends(values: (number | null)[]): { last: number | null; top: number | null; topAt: number } {
  let last: number | null = null;
  let top: number | null = null;
  let topAt = 0;
  values.forEach((value, at) => {
    if (value === null) return;
    last = value;
    if (top === null || value > top) [top, topAt] = [value, at];
  });
  return { last, top, topAt };
}

/** The highest value of every so many steps, for a table that can be read: at most `rows` of them. */
export function thinned(values: (number | null)[], rows: number): (number | null)[] {
  const size = Math.max(1, Math.ceil(values.length / rows));
  const count = Math.ceil(values.length / size);
  return Array.from({ length: count }, (_, at) => ends(values.slice(at * size, (at + 1) * size)).top);
}

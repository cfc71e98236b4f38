// Lists in parts: the server takes so many people at once. What the fields mean is the server's matter.

interface Line {
  /** Where it begins in the file; the first is 1. */
  line: number;
  raw: string;
}

export interface Part {
  text: string;
  /** The line of the file that a line of the part is. */
  lineOf: (line: number) => number;
}

/** The lines of a list; one that is open in a quotation mark goes on. */
function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  let [raw, at, began, quoted] = ["", 1, 1, false];
  for (const piece of text.split(/(\r\n|\r|\n)/)) {
    const isBreak = /^[\r\n]+$/.test(piece);
    if (!isBreak) {
      raw += piece;
      if ((piece.split('"').length - 1) % 2 === 1) quoted = !quoted;
      continue;
    }
    at += 1;
    if (quoted) {
      raw += "\n";
      continue;
    }
    if (raw.trim() !== "") lines.push({ line: began, raw });
    [raw, began] = ["", at];
  }
  if (raw.trim() !== "") lines.push({ line: began, raw });
  return lines;
}

/** A list in parts of so many people, each with the line that names the columns. */
export function partsOf(text: string, size: number): Part[] {
  const [header, ...people] = linesOf(text.replace(/^\ufeff/, ""));
  if (!header) return [{ text, lineOf: (line) => line }];
  const parts: Part[] = [];
  for (let first = 0; first === 0 || first < people.length; first += size) {
    const some = [header, ...people.slice(first, first + size)];
    const starts: [number, number][] = [];
    let local = 1;
    for (const one of some) {
      starts.push([local, one.line]);
      local += one.raw.split("\n").length;
    }
    parts.push({
      text: some.map((one) => one.raw).join("\n"),
      lineOf: (line) => starts.filter(([start]) => start <= line).at(-1)?.[1] ?? line,
    });
  }
  return parts;
}

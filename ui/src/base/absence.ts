// An absence as a Sieve script (RFC 5230), in whose first line the fields of the form are found again.

/** The script's name. */
export const VACATION = "vacation";

/** How the line begins in which the form finds its own fields again. */
const MARK = "# absence: ";

/** What the form asks for. */
export interface Absence {
  from: string;
  until: string;
  subject: string;
  text: string;
}

function quoted(text: string): string {
  return `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`;
}

/** The script of an absence; the rules of another script go on. */
export function scriptOf(absence: Absence, others: string | null): string {
  const { from, until, subject, text } = absence;
  const days = [
    from && `currentdate :value "ge" "date" ${quoted(from)}`,
    until && `currentdate :value "le" "date" ${quoted(until)}`,
  ].filter(Boolean);
  const needs = ["vacation", ...(days.length > 0 ? ["date", "relational"] : []), ...(others ? ["include"] : [])];
  const reply = `vacation :days 7 :subject ${quoted(subject)} ${quoted(text)};`;
  return [
    MARK + JSON.stringify({ ...absence, others }),
    `require [${needs.map(quoted).join(", ")}];`,
    days.length > 0 ? `if allof (${days.join(", ")}) { ${reply} }` : reply,
    ...(others ? [`include :personal :optional ${quoted(others)};`] : []),
    "",
  ]
    .join("\n")
    .replace(/\r?\n/g, "\r\n");
}

/** The absence in a script that this form wrote; null where somebody wrote it. */
export function absenceOf(script: string): { absence: Absence; others: string | null } | null {
  const first = script.split(/\r?\n/, 1)[0] ?? "";
  if (!first.startsWith(MARK)) return null;
  try {
    const { others, ...absence } = JSON.parse(first.slice(MARK.length)) as Absence & { others: string | null };
    return scriptOf(absence, others) === script.replace(/\r?\n/g, "\r\n") ? { absence, others } : null;
  } catch {
    return null;
  }
}

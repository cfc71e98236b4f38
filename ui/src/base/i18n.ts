// Texts in the user's language. The catalogues lie in i18n/ at the top of the repository, beside those of the pages that
// the server renders; a key that is missing fails the type check, a placeholder that is missing fails the tests.

import { signal } from "@preact/signals";
import type en from "../../../i18n/console.en.json";

type Stripped<K> = K extends `console.${infer Rest}` ? Rest : never;

/** A text's key, without the `console.` that all keys of this program have. */
export type Key = Stripped<keyof typeof en>;

/** A text with a number in it: `KEY.one`, `KEY.other` and what else the language has. */
export type PluralKey = Key extends infer K ? (K extends `${infer Stem}.other` ? Stem : never) : never;

export type Language = "en" | "fr" | "de";

/** Their own names, for the switch. */
export const LANGUAGES: Record<Language, string> = { en: "English", fr: "Français", de: "Deutsch" };

type Catalogue = Record<string, string>;
type Values = Record<string, string | number>;

const STORED_LANGUAGE = "sterna.language";

const loaders: Record<Language, () => Promise<{ default: Catalogue }>> = {
  en: () => import("../../../i18n/console.en.json"),
  fr: () => import("../../../i18n/console.fr.json"),
  de: () => import("../../../i18n/console.de.json"),
};

const catalogue = signal<Catalogue>({});

/** The language that the texts are in. */
export const language = signal<Language>("en");

/** The first of the browser's languages that there is, unless the user chose one. */
export function preferredLanguage(): Language {
  const wanted = [localStorage.getItem(STORED_LANGUAGE) ?? "", ...navigator.languages];
  for (const tag of wanted) {
    const short = tag.slice(0, 2).toLowerCase();
    if (short in LANGUAGES) return short as Language;
  }
  return "en";
}

/** Loads a language's texts and shows them; the choice is kept when the user made it. */
export async function useLanguage(wanted: Language, isChoice = false): Promise<void> {
  catalogue.value = (await loaders[wanted]()).default;
  language.value = wanted;
  document.documentElement.lang = wanted;
  if (isChoice) localStorage.setItem(STORED_LANGUAGE, wanted);
}

/** A text with its placeholders filled in. */
export function t(key: Key, values: Values = {}): string {
  return filled(catalogue.value[`console.${key}`] ?? key, values);
}

/** A text that may not be there: names that the server gives (roles, phases, settings) have one each when we know them. */
export function known(prefix: string, name: string, otherwise = name): string {
  return catalogue.value[`console.${prefix}.${name}`] ?? otherwise;
}

/** A text with a number in it, in the form that the language wants for it. */
export function count(key: PluralKey, n: number, values: Values = {}): string {
  const form = new Intl.PluralRules(language.value).select(n);
  const texts = catalogue.value;
  const text = texts[`console.${key}.${form}`] ?? texts[`console.${key}.other`] ?? key;
  return filled(text, { n: number(n), ...values });
}

function filled(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export function number(n: number, digits = 0): string {
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: digits }).format(n);
}

export function percent(part: number): string {
  return new Intl.NumberFormat(language.value, { style: "percent", maximumFractionDigits: 0 }).format(part);
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

/** Bytes in the unit in which they are read best (1 kB is 1024 bytes, as quotas count). */
export function bytes(n: number): string {
  let unit = 0;
  while (n >= 1024 && unit < UNITS.length - 1) {
    n /= 1024;
    unit += 1;
  }
  const style = { style: "unit", unit: UNITS[unit], unitDisplay: unit === 0 ? "long" : "short" } as const;
  return new Intl.NumberFormat(language.value, { ...style, maximumFractionDigits: n < 10 && unit > 0 ? 1 : 0 }).format(n);
}

/** A moment as people read it. */
export function moment(at: string | null | undefined): string {
  if (!at) return "–";
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return at;
  return new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }).format(time);
}

export function clock(at: string): string {
  return new Intl.DateTimeFormat(language.value, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(at));
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** How long ago, or in how long. */
export function ago(at: string, now = Date.now()): string {
  const seconds = (new Date(at).getTime() - now) / 1000;
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  const format = new Intl.RelativeTimeFormat(language.value, { numeric: "auto" });
  return format.format(Math.round(seconds / size), unit);
}

/** A length of time, in its two largest units. */
export function duration(seconds: number): string {
  const rounded = Math.max(1, Math.round(seconds));
  const parts: string[] = [];
  let rest = rounded;
  for (const [unit, size] of STEPS.slice(2)) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0 && parts.length < 2) {
      parts.push(new Intl.NumberFormat(language.value, { style: "unit", unit, unitDisplay: "short" }).format(n));
    }
  }
  return parts.join(" ");
}

export function list(items: string[]): string {
  return new Intl.ListFormat(language.value, { type: "conjunction" }).format(items);
}

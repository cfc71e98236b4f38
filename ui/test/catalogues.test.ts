// The three catalogues say the same things, and the sources use what is there.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import de from "../../i18n/console.de.json";
import en from "../../i18n/console.en.json";
import fr from "../../i18n/console.fr.json";

const catalogues: Record<string, Record<string, string>> = { en, fr, de };

const placeholders = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

test("all languages have the same keys, in order, and texts in all of them", () => {
  for (const [language, catalogue] of Object.entries(catalogues)) {
    assert.deepEqual(Object.keys(catalogue), Object.keys(en), language);
    for (const [key, text] of Object.entries(catalogue)) assert.notEqual(text.trim(), "", `${language} ${key}`);
  }
});

test("all languages have the same placeholders, except that one thing need not be counted", () => {
  for (const [language, catalogue] of Object.entries(catalogues)) {
    for (const [key, text] of Object.entries(en)) {
      const found = placeholders(catalogue[key] ?? "");
      const wanted = placeholders(text);
      const counted = key.endsWith(".one") ? wanted.filter((name) => name !== "{n}") : wanted;
      const fits = [wanted, counted].some((some) => JSON.stringify(some) === JSON.stringify(found));
      assert.ok(fits, `${language} ${key}: ${found.join(" ")} instead of ${wanted.join(" ")}`);
    }
  }
});

test("plurals have at least one and other", () => {
  for (const key of Object.keys(en)) {
    const [, stem] = /^(.*)\.other$/.exec(key) ?? [];
    if (stem && !stem.startsWith("console.dns-found")) assert.ok(`${stem}.one` in en, key);
  }
});

/** Prefixes whose keys are made of names that the server gives. */
const BY_NAME = [
  "afterwards-name", "problem", "remedy", "acl-kind", "acme-state", "dkim-dns", "dns-found", "dkim-state", "dns-need", "firewall-state", "full-mailbox", "openid-outcome", "run-outcome", "source-action", "source-kind", "source-meaning", "job-done", "job-event", "job-kind", "job-state",
  "migration-action", "migration-asked", "migration-copy", "migration-pace", "migration-phase",
  "phase", "purpose", "role", "role-hint", "role-name", "setting", "setting-group", "setting-value", "traced", "kind", "source", "join", "queue", "area", "area-right",
  "graph", "greylist-state", "update-action", "update-asked", "update-event", "update-phase", "update-policy", "update-step", "update-work",
];

test("every text is used", () => {
  const folder = join(UI_FOLDER, "src");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));
  const sources = files.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
  const unused = Object.keys(en).filter((full) => {
    const key = full.replace(/^console\./, "").replace(/\.(one|other)$/, "");
    return !sources.includes(`"${key}"`) && !BY_NAME.includes(key.split(".")[0] ?? "");
  });
  assert.deepEqual(unused, []);
});

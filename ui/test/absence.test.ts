// An absence is found again in the script that was made of it, and nobody else's script is taken for one.

import assert from "node:assert/strict";
import test from "node:test";
import { type Absence, absenceOf, scriptOf } from "../src/base/absence.ts";

const AWAY: Absence = { from: "2026-12-24", until: "2027-01-02", subject: 'Away "again"', text: "Back \\ soon.\nCall me." };

test("what the form asked for is found again", () => {
  for (const absence of [AWAY, { ...AWAY, from: "" }, { ...AWAY, from: "", until: "" }]) {
    for (const others of [null, "filters"]) {
      assert.deepEqual(absenceOf(scriptOf(absence, others)), { absence, others });
    }
  }
  // Servers and editors have their own ends of lines.
  assert.deepEqual(absenceOf(scriptOf(AWAY, null).replaceAll("\r\n", "\n"))?.absence, AWAY);
});

test("quotation marks and backslashes stay inside of their texts", () => {
  const script = scriptOf(AWAY, null);
  assert.ok(script.includes('"Away \\"again\\""') && script.includes('"Back \\\\ soon.\r\nCall me."'), script);
});

test("a script that somebody changed is edited as a script", () => {
  assert.equal(absenceOf(scriptOf(AWAY, null) + "keep;\r\n"), null);
  assert.equal(absenceOf('require ["vacation"];'), null);
  assert.equal(absenceOf("# absence: {broken"), null);
});

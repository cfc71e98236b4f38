import assert from "node:assert/strict";
import { test } from "node:test";
import { difference } from "../src/pages/other/difference.ts";

const shown = (before: string, after: string): string[] => difference(before, after).map(({ sign, text }) => sign + text);

test("lines of both are shown once, in their order", () => {
  assert.deepEqual(shown("a\nb\nc\n", "a\nx\nc\n"), [" a", "-b", "+x", " c"]);
  assert.deepEqual(shown("", "a\nb\n"), ["+a", "+b"]);
  assert.deepEqual(shown("a\n", ""), ["-a"]);
  assert.deepEqual(shown("a\n", "a\n"), [" a"]);
});

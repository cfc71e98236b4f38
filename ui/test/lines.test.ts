// Lines of numbers: what is drawn and said of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ceiling, ends, highest, path, thinned, together } from "../src/base/lines.ts";

test("an axis ends with a round number", () => {
  const known: [number, number][] = [[0, 1], [-3, 1], [Number.NaN, 1], [0.03, 0.05], [1, 1], [1.1, 2], [7, 10], [10, 10], [12, 20], [480, 500]];
  for (const [value, top] of known) assert.ok(Math.abs(ceiling(value) - top) < 1e-9, `${value}: ${ceiling(value)}`);
});

test("a line stops where nothing was measured, and never leaves its picture", () => {
  assert.equal(path([0, 5, 10], 10, 100, 50), "M0.0 50.0L50.0 25.0L100.0 0.0");
  assert.equal(path([1, null, 3, null], 10, 90, 10), "M0.0 9.0h0.1M60.0 7.0h0.1");
  assert.equal(path([-4, 99], 10, 10, 10), "M0.0 10.0L10.0 0.0");
  assert.equal(path([null, null], 10, 10, 10), "");
  assert.equal(path([], 10, 10, 10), "");
  assert.equal(path([2], 2, 10, 10), "M0.0 0.0h0.1");
});

test("several lines are one, and gaps of one are no gaps of all", () => {
  const lines = [{ name: "a", values: [1, null, 3] }, { name: "b", values: [2, null] }];
  assert.deepEqual(together(lines), [3, null, 3]);
  assert.deepEqual(together(lines, Math.max), [2, null, 3]);
  assert.deepEqual(together([]), []);
  assert.equal(highest(lines), 3);
  assert.equal(highest([]), 0);
});

test("a table has few rows, each with the highest of its time", () => {
  assert.deepEqual(thinned([1, 5, null, 2, null, null, 7], 4), [5, 2, null, 7]);
  assert.deepEqual(thinned([], 4), []);
  assert.deepEqual(ends([null, 4, 9, 3, null]), { last: 3, top: 9, topAt: 2 });
  assert.deepEqual(ends([null]), { last: null, top: null, topAt: 0 });
});

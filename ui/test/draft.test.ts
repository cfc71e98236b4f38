import assert from "node:assert/strict";
import { test } from "node:test";
import { clashes, differing, nested, undoing, valueAt } from "../src/base/draft.ts";

const seen = { name: "alpha", weight: 1, resource: { capacity: 8, hours: null }, aliases: ["a", "b"] };

test("only what differs is sent, and members of members find their place", () => {
  const draft = { name: "alpha", weight: 2, "resource.capacity": 12, aliases: ["a", "b"] };
  assert.deepEqual(differing(draft, seen), { weight: 2, "resource.capacity": 12 });
  assert.deepEqual(nested({ weight: 2, "resource.capacity": 12 }), { weight: 2, resource: { capacity: 12 } });
});

test("null and nothing are the same", () => {
  assert.deepEqual(differing({ "resource.hours": null, login: null }, seen), {});
  assert.equal(valueAt(seen, "resource.hours.days"), undefined);
});

test("changes of different things don't clash, nor the same change twice", () => {
  const theirs = { ...seen, weight: 5, aliases: ["a", "b", "c"] };
  assert.deepEqual(clashes({ name: "beta" }, seen, theirs), []);
  assert.deepEqual(clashes({ weight: 5 }, seen, theirs), []);
  assert.deepEqual(clashes({ weight: 3 }, seen, theirs), [{ name: "weight", before: 1, theirs: 5, ours: 3 }]);
});

test("undoing writes what was there", () => {
  assert.deepEqual(nested(undoing({ weight: 3, "resource.capacity": 1, login: "x" }, seen)), {
    weight: 1,
    resource: { capacity: 8 },
    login: null,
  });
});

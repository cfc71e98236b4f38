// Lists in parts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { partsOf } from "../src/base/csv.ts";

test("a list is cut between people, and lines are those of the file", () => {
  const parts = partsOf('\ufeffaddress;name\r\na@t;"two\r\nlines"\r\n\r\nb@t;B\r\nc@t;C', 2);
  assert.deepEqual(parts.map((part) => part.text), ['address;name\na@t;"two\nlines"\nb@t;B', "address;name\nc@t;C"]);
  assert.deepEqual([1, 2, 3, 4].map((line) => parts[0]?.lineOf(line)), [1, 2, 2, 5]);
  assert.equal(parts[1]?.lineOf(2), 6);
});

test("what has no people is sent as it is", () => {
  assert.deepEqual(partsOf("", 2).map((part) => part.text), [""]);
  assert.deepEqual(partsOf("address\n", 2).map((part) => part.text), ["address"]);
});

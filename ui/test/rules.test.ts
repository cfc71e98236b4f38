import assert from "node:assert/strict";
import { test } from "node:test";
import { rulesOf, splitAddress } from "../src/pages/other/rules.ts";

test("addresses are split at their last colon", () => {
  assert.deepEqual(splitAddress("mail1.example.org:7700"), { host: "mail1.example.org", port: "7700" });
  assert.deepEqual(splitAddress("[2001:db8::1]:7700"), { host: "2001:db8::1", port: "7700" });
});

test("a server lets in the others, each once, and nobody else", () => {
  const servers = [
    { id: "a", address: "192.0.2.1:7700" },
    { id: "b", address: "192.0.2.2:7700" },
    { id: "c", address: "[2001:db8::3]:7701" },
    { id: "d", address: "192.0.2.2:7702" },
  ];
  const rules = rulesOf(servers[0]!, servers).split("\n").map((line) => line.trim());
  assert.ok(rules.includes("tcp dport 7700 ip saddr 192.0.2.2 accept"));
  assert.ok(rules.includes("tcp dport 7700 ip6 saddr 2001:db8::3 accept"));
  assert.equal(rules.filter((line) => line.includes("192.0.2.2")).length, 1);
  assert.ok(!rules.some((line) => line.includes("192.0.2.1")));
  assert.equal(rules.filter((line) => line.endsWith("drop")).length, 1);
  assert.ok(rules.indexOf("tcp dport 7700 drop") > rules.indexOf("tcp dport 7700 ip6 saddr 2001:db8::3 accept"));
});

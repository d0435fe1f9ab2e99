/** Which limits are said to hold a job back: those that let nothing pass, and of machines only where none has room. */
import { describe, expect, test } from "vitest";
import { namedLimits, useOf, type LimitUse } from "../../src/core/limits/use.js";
import { limitedBy } from "../../src/core/limits/why.js";

const use = (more: Partial<LimitUse>): LimitUse => ({
  scope: "kind",
  name: "mail",
  host: null,
  running: null,
  rate: null,
  ...more,
});

const full = { most: 2, held: 2 };
const says = (uses: readonly LimitUse[], hosts: readonly string[] = ["a"]): string[] =>
  limitedBy(uses, hosts).map((why) => why.says);

const on = (host: string, held: number) => use({ host, running: { most: 2, held } });

describe("what holds a job back", () => {
  test("a limit with room is no reason", () => {
    const rate = { tokens: 10, perMs: 1_000, nextInMs: 0 };
    expect(says([use({ running: { most: 2, held: 1 }, rate })])).toEqual([]);
  });

  test("a full one is, with what it counts", () => {
    expect(says([use({ running: full })])).toEqual([
      "As many jobs of the kind mail as may run at once are held: 2 of 2.",
    ]);
    expect(says([use({ scope: "queue", name: "post", running: { most: 2, held: 5 } })])).toEqual([
      "As many jobs of the queue post as may run at once are held: 5 of 2.",
    ]);
  });

  test("so is a missing token, with when there is one", () => {
    const rate = { tokens: 10, perMs: 60_000, nextInMs: 6_000 };
    const [why] = limitedBy([use({ scope: "key", name: "ann", rate })], []);
    expect(why).toMatchObject({ code: "limited" });
    expect(why!.says).toContain('with the key "ann"');
    expect(why!.says).toContain("6.0 s");
  });

  test("a machine that is full is one only while no other one has room", () => {
    expect(says([on("a", 2), on("b", 1)], ["a", "b"])).toEqual([]);
    expect(says([on("a", 2), on("b", 2)], ["a", "b"])).toHaveLength(2);
    // The workers of the other one could not run it.
    expect(says([on("a", 2), on("b", 1)], ["a"])).toEqual([
      "As many jobs of the kind mail as may run at once on one machine are held by workers on a: 2 of 2.",
    ]);
    expect(says([on("a", 2)], [])).toEqual([]);
  });
});

test("all limits that a job has to pass are named, those of machines once for each", () => {
  const spec = { running: 3, perMachine: 2, rate: null, perKey: { running: 1, rate: null } };
  const lane = { queue: "post", kind: "mail", ofKind: spec, ofQueue: { ...spec, running: null } };
  const named = namedLimits(lane, { hash: "00", text: "ann" }, ["a", "b"]);
  expect(named.map(({ scope, name, host, limit }) => [scope, name, host, limit.most])).toEqual([
    ["kind", "mail", null, 3],
    ["kind", "mail", "a", 2],
    ["kind", "mail", "b", 2],
    ["queue", "post", "a", 2],
    ["queue", "post", "b", 2],
    ["key", "ann", null, 1],
  ]);
  expect(useOf(named[0]!, 3, undefined, 0).running).toEqual({ most: 3, held: 3 });
  expect(namedLimits({ ...lane, ofKind: null, ofQueue: null }, null, ["a"])).toEqual([]);
});

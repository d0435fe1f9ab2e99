import { array, assert, integer, property, record } from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  afterTaking,
  fullAt,
  tokensIn,
  untilNextToken,
  type Bucket,
} from "../../src/core/limits/bucket.js";
import { Gate, keyHash, limitsOf, limitsOfKey, limitsOfLane } from "../../src/core/limits/gate.js";
import {
  checkQueueLimits,
  keyOfPayload,
  type LimitSpec,
  type RateSpec,
} from "../../src/core/limits/spec.js";
import { sharesOf } from "../../src/core/limits/turns.js";
import { defineJob } from "../../src/core/job.js";
import { changedRules, specOf } from "../../src/storage/sql/rules.js";
import { declarations } from "../../src/worker/limits.js";
import { refusal } from "./support/refusal.js";

const run = (): void => undefined;
const NONE: LimitSpec = { running: null, perMachine: null, rate: null, perKey: null };
const key = (): string => "a";
const byKey = (of: (payload: unknown) => unknown) => ({ spec: NONE, key: of });
const keys = (...rooms: number[]) => rooms.map((room, i) => ({ hash: String(i), room }));
const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

const gateOf = (limits: ReturnType<typeof limitsOfLane>, taken: readonly number[] = []) => {
  const gate = new Gate<string>(0);
  for (const limit of limits) gate.know(limit, limit.most === 3 ? taken : [], undefined);
  return gate;
};

describe("limits of a kind", () => {
  const define = (limits: unknown) => () => defineJob("mail", { run, limits: limits as object });

  it("are none unless they are given", () => {
    expect(defineJob("mail", { run }).limits).toBeNull();
  });

  it("are kept as they are stored, with durations in milliseconds and the bucket's default size", () => {
    const limits = {
      running: 4,
      perMachine: 2,
      rate: { tokens: 100, per: "1m" },
      perKey: { key, running: 1, rate: { tokens: 5, per: 2, burst: 50 } },
    };
    expect(defineJob("mail", { run, limits }).limits).toEqual({
      key,
      spec: {
        running: 4,
        perMachine: 2,
        rate: { tokens: 100, perMs: 60_000, burst: 100 },
        perKey: { running: 1, rate: { tokens: 5, perMs: 2_000, burst: 50 } },
      },
    });
  });

  it("are none where nothing is limited", () => {
    expect(defineJob("mail", { run, limits: {} }).limits).toBeNull();
    expect([...checkQueueLimits({ mail: {} })]).toEqual([["mail", null]]);
  });

  it("let the payload's type flow to the key", () => {
    defineJob("mail", {
      run: (payload: { to: string }) => payload.to,
      limits: {
        perKey: {
          running: 1,
          key: (payload) => {
            expectTypeOf(payload).toEqualTypeOf<{ to: string }>();
            return payload.to;
          },
        },
      },
    });
  });

  it.each([
    [5, "limits of defineJob"],
    [null, "limits of defineJob"],
    [[], "limits of defineJob"],
    [{ runing: 1 }, "running, perMachine, rate, perKey"],
    [{ running: 0 }, ".running"],
    [{ running: 1.5 }, ".running"],
    [{ perMachine: 10_001 }, ".perMachine"],
    [{ rate: 5 }, ".rate"],
    [{ rate: { tokens: 0, per: "1s" } }, ".rate.tokens"],
    [{ rate: { tokens: 1, per: 0 } }, ".rate.per"],
    [{ rate: { tokens: 1, per: "soon" } }, ".rate.per"],
    [{ rate: { tokens: 1, per: "1s", burst: 0 } }, ".rate.burst"],
    [{ rate: { tokens: 1, per: "1s", max: 0 } }, "tokens, per, burst"],
    [{ perKey: {} }, ".perKey.key"],
    [{ perKey: { key: run } }, ".perKey limits nothing"],
    [{ perKey: { key: run, running: 0 } }, ".perKey.running"],
    [{ perKey: { key: run, perMachine: 1 } }, "key, running, rate"],
  ])("are refused by name: %j", (limits, says) => {
    const { code, message } = refusal(define(limits));
    expect(code).toMatch(/^QUDO_(INVALID_OPTION|UNKNOWN_OPTION|INVALID_DURATION)$/);
    expect(message).toContain(says);
  });
});

describe("keys", () => {
  it("are texts, or none", () => {
    expect(keyOfPayload(null, {}, "mail")).toBeNull();
    expect(
      keyOfPayload(
        byKey(() => "a"),
        {},
        "mail",
      ),
    ).toBe("a");
    expect(
      keyOfPayload(
        byKey(() => null),
        {},
        "mail",
      ),
    ).toBeNull();
    expect(
      keyOfPayload(
        byKey(() => undefined),
        {},
        "mail",
      ),
    ).toBeNull();
  });

  it.each(["", "a\0b", "\ud800", "ä".repeat(513), 5, {}, true])("are refused: %j", (key) => {
    const { code, message } = refusal(() =>
      keyOfPayload(
        byKey(() => key),
        {},
        "mail",
      ),
    );
    expect(code).toBe("QUDO_INVALID_OPTION");
    expect(message).toMatch(/limits\.perKey\.key of "mail"/);
    // A key may be a customer's name.
    if (typeof key === "string" && key !== "") expect(message).not.toContain(key);
  });

  it("of different kinds are different keys", () => {
    expect(keyHash("a", "b")).not.toBe(keyHash("a", "c"));
    expect(keyHash("a", "b")).not.toBe(keyHash("ab", ""));
    expect(keyHash("a", "b")).toBe(keyHash("a", "b"));
  });
});

describe("limits of queues", () => {
  it("are kept by name, null to take them away", () => {
    expect([...checkQueueLimits({ mail: { running: 3 }, fax: null })]).toEqual([
      ["mail", { ...NONE, running: 3 }],
      ["fax", null],
    ]);
    expect(checkQueueLimits(undefined).size).toBe(0);
  });

  it.each([
    [5, "queueLimits"],
    [{ mail: 5 }, 'queueLimits of "mail"'],
    [{ mail: { perKey: {} } }, "running, perMachine, rate"],
    [{ "": {} }, "queue"],
  ])("are refused by name: %j", (queues, says) => {
    expect(refusal(() => checkQueueLimits(queues as never)).message).toContain(says);
  });
});

describe("a bucket", () => {
  const rate: RateSpec = { tokens: 4, perMs: 1_000, burst: 4 };

  it("is full when nobody keeps it, and fills evenly", () => {
    expect(tokensIn(undefined, rate, 5)).toBe(4);
    const empty = afterTaking(4, undefined, rate, 5);
    expect(empty).toEqual({ tokens: 0, refilledAt: 5 });
    expect([0, 249, 250, 999, 1_000, 9_999].map((ms) => tokensIn(empty, rate, 5 + ms))).toEqual([
      0, 0, 1, 3, 4, 4,
    ]);
    expect([0, 249, 250].map((ms) => untilNextToken(empty, rate, 5 + ms))).toEqual([250, 1, 0]);
    expect(fullAt(empty, rate)).toBe(1_005);
  });

  it("gives out no more than flows in, however often it is asked", () => {
    const tokens = integer({ min: 1, max: 1_000_000 });
    const rates = record({
      tokens,
      perMs: integer({ min: 1, max: 86_400_000 }),
      burst: tokens,
    });
    const steps = array(integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 50 });
    assert(
      property(rates, steps, (spec, waits) => {
        let now = 1_800_000_000_000;
        const began = now;
        let bucket: Bucket | undefined;
        let given = 0;
        for (const wait of waits) {
          now += wait;
          const n = tokensIn(bucket, spec, now);
          expect(untilNextToken(bucket, spec, now) === 0).toBe(n > 0);
          if (n === 0) continue;
          bucket = afterTaking(n, bucket, spec, now);
          given += n;
        }
        expect(given).toBeLessThanOrEqual(spec.burst + ((now - began) * spec.tokens) / spec.perMs);
      }),
    );
  });

  it("has a token at the moment that it named", () => {
    const rates = record({
      tokens: integer({ min: 1, max: 10_000 }),
      perMs: integer({ min: 1, max: 86_400_000 }),
      burst: integer({ min: 1, max: 100 }),
    });
    assert(
      property(rates, integer({ min: 0, max: 10_000 }), (spec, later) => {
        const empty = afterTaking(spec.burst, undefined, spec, 0);
        const ms = untilNextToken(empty, spec, later);
        expect(tokensIn(empty, spec, later + ms)).toBeGreaterThan(0);
        if (ms > 0) expect(tokensIn(empty, spec, later + ms - 1)).toBe(0);
      }),
    );
  });

  it("stays empty for a clock that was set back, but no longer than it takes to fill", () => {
    const empty = afterTaking(4, undefined, rate, 10_000);
    expect(tokensIn(empty, rate, 9_500)).toBe(0);
    expect(untilNextToken(empty, rate, 9_500)).toBe(750);
    expect(tokensIn(empty, rate, 8_999)).toBe(4);
  });
});

describe("turns", () => {
  it.each([
    [[5, 5, 5], 3, [1, 1, 1]],
    [[5, 5, 5], 2, [1, 1, 0]],
    [[5, 5, 5], 8, [3, 3, 2]],
    [[1, 5, 5], 7, [1, 3, 3]],
    [[1, 2, 9], 9, [1, 2, 6]],
    [[1, 1], 9, [1, 1]],
    [[Infinity, Infinity], 5, [3, 2]],
    [[], 5, []],
  ])("rooms %j, %i to give: %j", (rooms, n, shares) => {
    expect(sharesOf(keys(...rooms), n)).toEqual(shares);
  });

  it("give out all that fits, and nobody more than one above who could have more", () => {
    const rooms = array(integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 12 });
    assert(
      property(rooms, integer({ min: 0, max: 200 }), (all, n) => {
        const shares = sharesOf(keys(...all), n);
        expect(sum(shares)).toBe(Math.min(n, sum(all)));
        for (const [i, share] of shares.entries()) {
          expect(share).toBeLessThanOrEqual(all[i]!);
          if (share < all[i]!) expect(Math.max(...shares) - share).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});

describe("the gate", () => {
  const rate: RateSpec = { tokens: 2, perMs: 1_000, burst: 2 };
  const lane = {
    queue: "q",
    kind: "k",
    ofKind: { ...NONE, running: 3, perMachine: 2, perKey: { running: 1, rate: null } },
    ofQueue: { ...NONE, rate },
  };
  it("lets pass what every limit lets pass", () => {
    const limits = limitsOfLane(lane, "host");
    expect(limits.map(({ most }) => most)).toEqual([3, 2, null]);
    const gate = gateOf(limits, [2]);
    expect(gate.room(limits)).toBe(2);
    gate.take(limits, { id: "a", run: 1 });
    expect(gate.room(limits)).toBe(1);
    gate.take(limits, { id: "b", run: 4 });
    expect(gate.room(limits)).toBe(0);
    expect(gate.slots.map(({ limit, n, id, run }) => [limit.most, n, id, run])).toEqual([
      [3, 1, "a", 1],
      [2, 1, "a", 1],
      [3, 3, "b", 4],
      [2, 2, "b", 4],
    ]);
    expect(gate.drawn).toMatchObject([{ bucket: { tokens: 0, refilledAt: 0 }, fullAt: 1_000 }]);
    expect(gate.untilToken(limits)).toBeNull();
    expect(gate.room([])).toBe(Infinity);
  });

  it("names the moment of a token only where nothing else is missing", () => {
    const limits = limitsOf("queue", "q", { ...NONE, running: 3, rate }, "");
    const gate = gateOf(limits);
    for (const id of ["a", "b"]) gate.take(limits, { id, run: 1 });
    expect(gate.untilToken(limits)).toBe(500);
    const full = gateOf(limits, [1, 2, 3]);
    expect(full.untilToken(limits)).toBeNull();
  });

  it("counts what runs above a limit that was lowered", () => {
    const limits = limitsOf("kind", "k", { ...NONE, running: 3 }, "");
    expect(gateOf(limits, [7, 8, 9, 10]).room(limits)).toBe(0);
  });

  it("tries out on a copy", () => {
    const limits = limitsOfLane(lane, "host");
    const gate = gateOf(limits);
    const copy = gate.copy();
    copy.take(limits);
    copy.take(limits);
    expect([copy.room(limits), gate.room(limits)]).toEqual([0, 2]);
    expect([copy.slots, gate.slots]).toEqual([[], []]);
  });

  it("keeps kinds, queues, machines and keys apart", () => {
    const all = { ...NONE, running: 1, perMachine: 1, perKey: { running: 1, rate: null } };
    const hashes = [
      ...limitsOf("kind", "a", all, "h"),
      ...limitsOf("queue", "a", all, "h"),
      ...limitsOf("kind", "a", { ...all, running: null }, "i"),
      ...limitsOfKey(all, keyHash("a", "h")),
    ].map(({ hash }) => hash);
    expect(new Set(hashes).size).toBe(6);
    expect(limitsOfKey(NONE, keyHash("a", "h"))).toEqual([]);
  });
});

describe("what is declared", () => {
  const mail = defineJob("mail", { run, limits: { running: 3 } });
  const fax = defineJob("fax", { run });

  it("is of every kind that a worker knows, and of the queues it was told of", () => {
    const registry = new Map([mail, fax].map((job) => [job.kind, job]));
    expect(declarations(registry, new Map([["q", null]]))).toEqual([
      { scope: "kind", name: "mail", spec: { ...NONE, running: 3 } },
      { scope: "kind", name: "fax", spec: null },
      { scope: "queue", name: "q", spec: null },
    ]);
  });

  it("is written only where it says something else", () => {
    const text = JSON.stringify({ ...NONE, running: 3 });
    const declared = declarations(new Map([mail, fax].map((job) => [job.kind, job])), new Map());
    expect(changedRules(declared, [])).toEqual([{ scope: 1, name: "mail", spec: text }]);
    expect(changedRules(declared, [{ scope: 1, name: "mail", spec: text }])).toEqual([]);
    expect(changedRules(declared, [{ scope: 1, name: "fax", spec: text }])).toEqual([
      { scope: 1, name: "mail", spec: text },
      { scope: 1, name: "fax", spec: "" },
    ]);
  });

  it("limits nothing where its row was damaged", () => {
    expect(specOf("{")).toBeNull();
    expect(specOf("")).toBeNull();
    expect(specOf(undefined)).toBeNull();
    expect(specOf(JSON.stringify(NONE))).toEqual(NONE);
  });
});

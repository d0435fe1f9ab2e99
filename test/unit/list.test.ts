/** A list of databases: what may stand in it, that all of it is checked at once, and that no secret of it is ever shown. */
import { resolve } from "node:path";
import { inspect } from "node:util";
import * as fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { defineJob, Qudo, type Databases, type ListedDatabase } from "../../src/index.js";
import { checkDatabase } from "../../src/storage/check.js";
import { checkList, refuseListOptions, type ListOptions } from "../../src/storage/list.js";
import { Identities, stricter } from "../../src/storage/several/identity.js";
import { refusal } from "./support/refusal.js";

const pool = { connect: () => undefined, query: () => undefined };
const handle = { exec: () => undefined, prepare: () => undefined, close: () => undefined };

const check = (list: unknown, options: ListOptions = {}) =>
  checkList(list as readonly ListedDatabase[], options);

/** Refused by the check, and by Qudo when it is made. */
function refused(list: unknown, options: object = {}): { code: string; message: string } {
  const error = refusal(() => check(list, options));
  expect(refusal(() => new Qudo({ databases: list as Databases, ...options }))).toEqual(error);
  return error;
}

describe("a list", () => {
  it("gives each entry its weight and mode, and the whole its placement and pause", () => {
    const list = [
      { name: "a", url: "sqlite:a.db" },
      { name: "b-2", url: "postgres://u@h/d", schema: "jobs", weight: 0.5, mode: "drain" },
      { name: "_c", url: "mysql://u@h/d", mode: "off", weight: 7 },
    ];
    const { entries, placement, retryMs } = check(list);
    expect({ placement, retryMs }).toEqual({ placement: "spread", retryMs: 30_000 });
    expect(entries).toMatchObject([
      { name: "a", weight: 1, mode: "active", checked: { kind: "sqlite", path: "a.db" } },
      { name: "b-2", weight: 0.5, mode: "drain", checked: { kind: "postgres" } },
      { name: "_c", weight: 7, mode: "off", checked: { kind: "mysql" } },
    ]);
    const one = check(list.slice(0, 1), { placement: "hash", retrySeconds: 0.25 });
    expect(one).toMatchObject({ placement: "hash", retryMs: 250 });
  });

  it("takes undefined for what is left out", () => {
    const entry = { name: "a", url: "sqlite:a.db", weight: undefined, mode: undefined };
    expect(check([{ ...entry, schema: undefined }]).entries).toMatchObject([
      { weight: 1, mode: "active" },
    ]);
    expect(check([entry], { placement: undefined, retrySeconds: undefined }).retryMs).toBe(30_000);
  });

  it("cannot be empty", () => {
    expect(refused([]).message).toContain("at least one");
  });

  it.each([undefined, null, 1, "", "A", "1a", "a b", "a.b", "ä", "a".repeat(42), ["a"]])(
    "takes no name such as %j",
    (name) => {
      const { code, message } = refused([{ name, url: "sqlite:a.db" }]);
      expect(code).toBe("QUDO_INVALID_OPTION");
      expect(message).toMatch(/^databases\[0\]: name is .*small letters, digits/);
    },
  );

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, "2", null])("no weight %j", (weight) => {
    const { code, message } = refused([{ name: "a", url: "sqlite:a.db", weight }]);
    expect(code).toBe("QUDO_INVALID_OPTION");
    expect(message).toContain("databases[0] (a): weight is");
  });

  it.each(["on", "Active", null, true])("no mode %j", (mode) => {
    const { message } = refused([{ name: "a", url: "sqlite:a.db", mode }]);
    expect(message).toContain("mode is ");
    expect(message).toContain('give "active", "drain" or "off"');
  });

  it.each([
    [{ placement: "random" }, "placement is"],
    [{ retrySeconds: 0 }, "retrySeconds is"],
    [{ retrySeconds: "30s" }, "retrySeconds is"],
  ])("no options such as %j", (options, words) => {
    const { code, message } = refused([{ name: "a", url: "sqlite:a.db" }], options);
    expect(code).toBe("QUDO_INVALID_OPTION");
    expect(message).toContain(words);
  });

  it.each([
    ["sqlite:a.db", "an address alone"],
    [null, "null"],
    [["sqlite:a.db"], "Each of several databases has a name"],
  ])("no entry such as %j", (entry, words) => {
    expect(refused([{ name: "a", url: "sqlite:a.db" }, entry]).message).toMatch(
      new RegExp(`^databases\\[1\\] is .*${words}`),
    );
  });

  it("says of which entry an address or option is wrong, whatever kind of mistake it is", () => {
    const first = { name: "a", url: "sqlite:a.db" };
    const wrong = [
      { url: "redis://h" },
      { url: "sqlite:b.db", schema: "x" },
      { url: "sqlite:b.db", thred: true },
      { url: "postgres://u@h/d", prefix: "NO" },
      {},
    ];
    for (const entry of wrong)
      expect(refused([first, { name: "b", ...entry }]).message).toMatch(/^databases\[1\] \(b\):? /);
  });

  it("refuses a name that stands twice", () => {
    const list = [
      { name: "a", url: "sqlite:a.db" },
      { name: "a", url: "sqlite:b.db" },
    ];
    expect(refused(list).message).toContain("two entries with the name a");
  });

  it.each([
    [{ url: "sqlite:a.db" }, { url: "sqlite:./x/../a.db", thread: false }],
    [{ url: "sqlite:a.db" }, { url: `sqlite:${resolve("a.db")}` }],
    [{ handle }, { handle }],
    [{ url: "postgres://u:p@H:5432/d" }, { url: "postgresql://w@h/d" }],
    [{ url: "postgres://u@h1,h2/d" }, { url: "postgres://u@h2,h1/d?schema=public" }],
    [{ url: "mysql://u@h/d" }, { url: "mariadb://w@h:3306/d?connections=3" }],
    [
      { url: "mysql://u@localhost/d?socketPath=/run/s" },
      { url: "mysql://u@localhost/d?socketPath=/run/s" },
    ],
    [{ pool }, { pool }],
  ])("refuses one address under two names: %j, %j", (one, other) => {
    const { code, message } = refused([
      { name: "a", ...one },
      { name: "b", ...other },
    ]);
    expect(code).toBe("QUDO_INVALID_OPTION");
    expect(message).toContain("one address twice: a and b");
  });

  it.each([
    [{ url: "sqlite::memory:" }, { url: "sqlite::memory:" }],
    [{ url: "sqlite:a.db" }, { handle }],
    [{ handle }, { handle: { ...handle } }],
    [{ url: "postgres://u@h/d" }, { url: "postgres://u@h/e" }],
    [{ url: "postgres://u@h/d" }, { url: "postgres://u@h:5433/d" }],
    [{ url: "postgres://u@h/d" }, { url: "postgres://u@h/d?schema=jobs" }],
    [{ url: "mysql://u@h/d" }, { url: "mysql://u@h/d", prefix: "b_" }],
    [{ url: "mysql://u@h/d" }, { url: "postgres://u@h/d" }],
    [
      { url: "mysql://u@localhost/d?socketPath=/run/s" },
      { url: "mysql://u@localhost/d?socketPath=/run/t" },
    ],
    [{ pool }, { pool: { ...pool } }],
    [{ pool }, { pool, schema: "jobs" }],
  ])("but takes two: %j, %j", (one, other) => {
    const list = [
      { name: "a", ...one },
      { name: "b", ...other },
    ];
    expect(check(list).entries).toHaveLength(2);
  });
});

describe("one database", () => {
  it.each([{ placement: "spread" }, { retrySeconds: 30 }] as const)("has no %j", (options) => {
    const error = refusal(() => refuseListOptions(options));
    expect(error.message).toContain("goes with a list of databases");
    expect(refusal(() => new Qudo({ databases: "sqlite:a.db", ...options }))).toEqual(error);
  });

  it.each(["name", "weight", "mode"])("has no %s", (option) => {
    const { code, message } = refusal(() => checkDatabase({ url: "sqlite:a.db", [option]: 1 }));
    expect(code).toBe("QUDO_UNKNOWN_OPTION");
    expect(message).toContain(`${option} is for one of several databases. Give a list`);
  });
});

it("enqueueSync says what to do instead", () => {
  const qudo = new Qudo({ databases: [{ name: "a", url: "sqlite:a.db" }] });
  expect(() => qudo.enqueueSync(defineJob("a", { run: () => undefined }), null)).toThrow(
    expect.objectContaining({
      code: "QUDO_UNSUPPORTED",
      message: expect.stringContaining("qudo.in(handle).enqueueSync") as string,
    }),
  );
});

it("no password is ever shown, in whatever place of a list it stands", () => {
  const word = fc.constantFrom("s3cr/et", "s3cr@et", "s3cr", "s3cr?a=b", "s3cr#é");
  const url = fc
    .tuple(fc.constantFrom("postgres", "mysql", "redis"), word, fc.boolean())
    .map(
      ([kind, secret, encoded]) =>
        `${kind}://u:${encoded ? encodeURIComponent(secret) : secret}@h/d`,
    );
  fc.assert(
    fc.property(url, (address) => {
      for (const list of [
        [address],
        [[address]],
        [{ name: address, url: address }],
        [{ name: "a", url: address }],
        [{ name: "a", url: address, weight: address }],
        [{ name: "a", url: address, mode: address }],
        [{ name: "a", url: address, connections: address }],
        [{ name: "a", url: address, [address]: 1 }],
        [
          { name: "a", url: address },
          { name: "b", url: address },
        ],
      ])
        for (const make of [
          () => new Qudo({ databases: list as Databases }),
          () => new Qudo({ databases: list as Databases, placement: address as "hash" }),
        ])
          expect(inspect(attempt(make), { depth: 9, showHidden: true })).not.toContain("s3cr");
    }),
    { numRuns: 50 },
  );
});

function attempt(make: () => unknown): unknown {
  try {
    return make();
  } catch (error) {
    return error;
  }
}

const is = (id: string, name: string | null) =>
  Promise.resolve({ id, name, mode: "active" } as const);
const part = (name: string) => ({ name, label: `sqlite:${name}.db` });

describe("who a database is", () => {
  it("is in order where the name is its own, or none is written", async () => {
    const all = new Identities();
    await all.check(part("a"), is("1", "a"));
    await all.check(part("b"), is("2", null));
    // Opened again, or replaced by another one.
    await all.check(part("a"), is("1", "a"));
    await all.check(part("a"), is("3", "a"));
  });

  it("is refused under another name, with both", async () => {
    const error = await new Identities().check(part("a"), is("1", "b")).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "QUDO_DATABASE_SWAPPED" });
    expect(String(error)).toMatch(/configured as a \(sqlite:a\.db\) says that it is b/);
  });

  it.each(["a", null])(
    "is refused a second time under another name, with %j in it",
    async (name) => {
      const all = new Identities();
      await all.check(part("a"), is("1", name));
      const error = await all.check(part("b"), is("1", name)).catch((e: unknown) => e);
      expect(error).toMatchObject({ code: "QUDO_DATABASE_TWICE" });
      expect(String(error)).toContain("a and b are one database (sqlite:b.db)");
    },
  );

  it("is refused also where both are asked at once", async () => {
    const all = new Identities();
    const one = is("1", null);
    const both = await Promise.allSettled([all.check(part("a"), one), all.check(part("b"), one)]);
    expect(both.filter(({ status }) => status === "rejected").length).toBeGreaterThan(0);
  });

  it("and of two modes the stricter one counts", () => {
    const modes = ["active", "drain", "off"] as const;
    for (const [i, one] of modes.entries())
      for (const [j, other] of modes.entries())
        expect(stricter(one, other)).toBe(modes[Math.max(i, j)]);
  });
});

it("types take a list whose entries have names, of any kinds", () => {
  expectTypeOf<{ name: string; url: string }[]>().toExtend<Databases>();
  expectTypeOf<
    { name: string; url: string; schema: string; weight: number }[]
  >().toExtend<Databases>();
  // @ts-expect-error -- each of several has a name
  const nameless: Databases = [{ url: "sqlite:a.db" }];
  // @ts-expect-error -- of PostgreSQL, and of SQLite
  const mixed: Databases = [{ name: "a", url: "postgres://h/d", schema: "jobs", thread: true }];
  expect([nameless, mixed]).toHaveLength(2);
});

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DatabaseError, IncompleteError, InvalidInputError } from "../../../src/core/errors.js";
import type { Driver, Part } from "../../../src/storage/driver.js";
import { mergedPage } from "../../../src/storage/several/pages.js";

interface Row {
  readonly n: number;
}

interface FakePage {
  readonly rows: readonly Row[];
  readonly cursors: readonly string[];
  readonly next: string | null;
}

/** One database's list of numbers, in order. A cursor names the number that was looked at last. */
class Numbers implements Part {
  readonly driver = this as unknown as Driver;
  down = false;
  asked = 0;

  constructor(
    readonly name: string,
    public numbers: readonly number[],
    /** A page looks at no more than this, whatever the limit: then it is short, and not the last. */
    private readonly most = Infinity,
  ) {}

  async page(after: string | undefined, limit: number): Promise<FakePage> {
    this.asked++;
    if (this.down) throw new DatabaseError("QUDO_DATABASE_UNREACHABLE", "It is gone.", true);
    const from = after === undefined ? -Infinity : Number(after);
    const left = this.numbers.filter((n) => n > from);
    // Odd ones are looked at, and not listed.
    const seen = left.slice(0, this.most);
    const rows = seen.filter((n) => n % 2 === 0).slice(0, limit);
    const last = rows.length === limit ? rows.at(-1) : seen.at(-1);
    const more = last !== undefined && left.some((n) => n > last);
    return {
      rows: rows.map((n) => ({ n })),
      cursors: rows.map(String),
      next: more ? String(last) : null,
    };
  }

  status(): never {
    throw new Error("nobody asks");
  }

  watch(): never {
    throw new Error("nobody asks");
  }
}

interface Shown {
  readonly rows: readonly (Row & { readonly database: string })[];
  readonly cursors: readonly string[];
  readonly next: string | null;
}

function page(
  parts: readonly Numbers[],
  limit: number,
  after?: string,
  grows = false,
): Promise<Shown> {
  return mergedPage<Row, FakePage, Shown>(
    parts,
    after,
    {
      ask: (driver, cursor) => (driver as unknown as Numbers).page(cursor, limit),
      compare: (a, i, b, j) => a.rows[i]!.n - b.rows[j]!.n,
      limit,
      grows,
    },
    ({ taken, cursors, next }) => ({ rows: taken.map(({ row }) => row), cursors, next }),
  );
}

async function numbersFrom(
  parts: readonly Numbers[],
  limit: number,
  after?: string,
): Promise<number[]> {
  const found: number[] = [];
  let cursor = after;
  for (let pages = 1; pages <= 500; pages++) {
    const { rows, next } = await page(parts, limit, cursor);
    expect(rows.length).toBeLessThanOrEqual(limit);
    found.push(...rows.map(({ n }) => n));
    if (next === null) return found;
    cursor = next;
  }
  throw new Error("the pages have no end");
}

const even = (numbers: Iterable<number>): number[] =>
  [...numbers].filter((n) => n % 2 === 0).toSorted((a, b) => a - b);

describe("pages of several databases", () => {
  const lists = fc
    .uniqueArray(fc.nat(60), { maxLength: 40 })
    .chain((all) =>
      fc
        .array(fc.nat(2), { minLength: all.length, maxLength: all.length })
        .map((places) => [0, 1, 2].map((at) => all.filter((_, i) => places[i] === at))),
    );

  it("are the rows of all of them in order, without gaps or doubles, from every cursor on", async () => {
    await fc.assert(
      fc.asyncProperty(
        lists,
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 5 }),
        async (split, limit, most) => {
          const parts = split.map(
            (numbers, i) =>
              new Numbers(
                ["a", "b", "c"][i]!,
                numbers.toSorted((a, b) => a - b),
                most,
              ),
          );
          const all = even(split.flat());
          expect(await numbersFrom(parts, limit)).toEqual(all);
          const { rows, cursors } = await page(parts, limit);
          for (const [i, cursor] of cursors.entries())
            expect(await numbersFrom(parts, limit, cursor)).toEqual(all.slice(i + 1));
          expect(rows.length).toBe(cursors.length);
        },
      ),
    );
  });

  it("say of each row where it is", async () => {
    const { rows } = await page([new Numbers("a", [2]), new Numbers("b", [4])], 5);
    expect(rows).toEqual([
      { n: 2, database: "a" },
      { n: 4, database: "b" },
    ]);
  });

  it("leave no gap in what stays when rows go that were shown", async () => {
    const parts = [new Numbers("a", [2, 6, 10]), new Numbers("b", [4, 8, 12])];
    const first = await page(parts, 3);
    for (const part of parts) part.numbers = part.numbers.filter((n) => n > 6);
    const second = await page(parts, 3, first.next!);
    expect([...first.rows, ...second.rows].map(({ n }) => n)).toEqual([2, 4, 6, 8, 10, 12]);
  });

  it("wait for nobody where a page was cut short: what comes next there is not known", async () => {
    const slow = new Numbers("a", [1, 3, 5, 6], 2);
    const { rows, next } = await page([slow, new Numbers("b", [2, 8])], 5);
    expect(rows.map(({ n }) => n)).toEqual([]);
    expect(await numbersFrom([slow, new Numbers("b", [2, 8])], 5, next!)).toEqual([2, 6, 8]);
  });

  it("of a list that grows show later what came to its end, also where there was nothing", async () => {
    const parts = [new Numbers("a", [2, 4]), new Numbers("b", [])];
    const first = await page(parts, 2, undefined, true);
    expect(first.rows.map(({ n }) => n)).toEqual([2, 4]);
    parts[0]!.numbers = [2, 4, 8];
    parts[1]!.numbers = [6];
    const second = await page(parts, 5, first.next!, true);
    expect(second.rows.map(({ n }) => n)).toEqual([6, 8]);
    expect(second.next).toBeNull();
  });
});

const down = async (parts: readonly Numbers[], after?: string): Promise<IncompleteError<Shown>> => {
  const error: unknown = await page(parts, 2, after).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(IncompleteError);
  return error as IncompleteError<Shown>;
};

const foreign = (value: unknown): string =>
  Buffer.from(JSON.stringify(value)).toString("base64url");

describe("a database that cannot be asked", () => {
  it("is left out of the list from then on, and every page says so", async () => {
    const parts = [new Numbers("a", [2, 6, 10, 14]), new Numbers("b", [4, 8, 12])];
    const [a, b] = parts;
    const first = await page(parts, 2);
    b!.down = true;
    const second = await down(parts, first.next!);
    expect(second.unasked).toEqual([{ database: "b", reason: "It is gone." }]);
    expect(second.found.rows.map(({ n }) => n)).toEqual([6, 10]);
    // Back again: what it has would come out of turn.
    b!.down = false;
    const before = b!.asked;
    const third = await down(parts, second.found.next!);
    expect(third.unasked).toMatchObject([{ database: "b" }]);
    expect(third.found.rows.map(({ n }) => n)).toEqual([14]);
    expect(third.found.next).toBeNull();
    expect(b!.asked).toBe(before);
    expect(a!.asked).toBe(3);
  });

  it("is an error of its own where no other one answers", async () => {
    const parts = [new Numbers("a", [2]), new Numbers("b", [4])];
    for (const part of parts) part.down = true;
    await expect(page(parts, 2)).rejects.toMatchObject({
      name: "DatabaseError",
      code: "QUDO_DATABASES_OUT",
      transient: true,
      message: expect.stringMatching(/a: It is gone\. b: It is gone\./),
    });
  });
});

it("a cursor of another list is refused", async () => {
  const parts = [new Numbers("a", [2]), new Numbers("b", [4])];
  const bad = ["", "x", foreign({}), foreign([["c", "1"]]), foreign([["a", 1]]), foreign([["a"]])];
  for (const after of bad)
    await expect(page(parts, 2, after), after).rejects.toBeInstanceOf(InvalidInputError);
  expect(await page(parts, 2, foreign([["a", "2"]]))).toMatchObject({ rows: [{ n: 4 }] });
});

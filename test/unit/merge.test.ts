/** The first rows of many lists: the right ones, in order, and none read further than it is needed. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Merge } from "../../src/storage/sql/merge.js";

const ascending = (a: number, b: number): number => a - b;

/** Merged as an engine does it: by reading a piece wherever one is wanted. Returns also how many rows were read. */
function merged(lists: readonly (readonly number[])[], limit: number) {
  const merge = new Merge<number>(lists.length, limit, ascending);
  const at = lists.map(() => 0);
  let read = 0;
  for (let { wanted } = merge; wanted.length > 0; { wanted } = merge) {
    for (const { list, last } of wanted) {
      const piece = lists[list]!.slice(at[list], at[list]! + merge.piece);
      if (at[list]! > 0) expect(last).toBe(lists[list]![at[list]! - 1]);
      at[list]! += piece.length;
      read += piece.length;
      merge.put(list, piece);
    }
    merge.fill();
  }
  return { rows: merge.rows, read, piece: merge.piece };
}

test("the first rows of all lists together, whatever is in them", () => {
  const list = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 120 });
  fc.assert(
    fc.property(
      fc.array(list, { maxLength: 8 }),
      fc.integer({ min: 1, max: 200 }),
      (some, limit) => {
        const lists = some.map((one) => one.toSorted(ascending));
        const { rows } = merged(lists, limit);
        expect(rows).toEqual(lists.flat().toSorted(ascending).slice(0, limit));
      },
    ),
  );
});

test("of sixty long lists hardly more is read than is asked for", () => {
  const lists = Array.from({ length: 60 }, (_, i) =>
    Array.from({ length: 1_000 }, (_, n) => 60 * n + i),
  );
  const { rows, read, piece } = merged(lists, 500);
  expect(rows).toEqual(Array.from({ length: 500 }, (_, i) => i));
  expect(read).toBeLessThanOrEqual(60 * piece);
  expect(read).toBeLessThan(1_300);
});

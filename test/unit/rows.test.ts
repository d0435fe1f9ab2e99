import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pack, unpack } from "../../src/storage/thread/rows.js";

const cross = (value: unknown): unknown => unpack(structuredClone(pack(value)));

/** What operations take and give: no key of the packing's own, nothing live. */
const scalar = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
);
const bytes = fc.uint8Array({ maxLength: 4 });
const { value } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, scalar, bytes, tie("list"), tie("rows"), tie("fields")),
  list: fc.array(tie("value"), { maxLength: 4 }),
  fields: fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value"), { noNullPrototype: true }),
  rows: fc.array(fc.record({ id: fc.string(), n: scalar, more: tie("value") }), { maxLength: 4 }),
}));

describe("sets between threads", () => {
  test("arrive as an ordinary copy would", () => {
    fc.assert(
      fc.property(value, (sent) => void expect(cross(sent)).toStrictEqual(structuredClone(sent))),
      { numRuns: 500 },
    );
  });

  test("rows of one shape are not copied one by one", () => {
    const rows = Array.from({ length: 100 }, (_, i) => ({
      id: `${i}`,
      queue: "q",
      payload: { text: "" },
    }));
    const packed = JSON.stringify(pack({ rows }));
    expect(packed.match(/payload/g)).toHaveLength(1);
    expect(packed.match(/"q"/g)).toHaveLength(1);
    expect(cross({ rows })).toStrictEqual({ rows });
  });

  test("a row with a field more is not cut", () => {
    const rows = [{ id: 1 }, { id: 2, lines: ["x"] }, { lines: [], id: 3 }];
    expect(cross(rows)).toStrictEqual(rows);
  });
});

/**
 * Every operation against every other one: the first stops before each of its statements in turn, while the second runs
 * until it is done or meets the lock. Whatever comes of it, the invariants hold and every answer is true.
 */
import { describe, expect, test } from "vitest";
import { OPERATIONS } from "./operations.js";
import { useFileStage } from "./stage.js";

const stage = useFileStage();
const totals = { pairs: 0, played: 0, waited: 0, started: performance.now() };

test("the prepared file violates nothing", () => {
  expect(stage.before.violations).toEqual([]);
});

describe.each(Object.keys(OPERATIONS))("%s, interrupted by", (first) => {
  test.each(Object.keys(OPERATIONS))("%s", async (second) => {
    const tally = await stage.everywhere(
      OPERATIONS[first]!("first"),
      OPERATIONS[second]!("second"),
    );
    totals.pairs++;
    totals.played += tally.played;
    totals.waited += tally.waited;
    expect(tally.wrong).toEqual([]);
  });
});

test("several hundred interleavings were played, with and without a wait for the lock", () => {
  const { pairs, played, waited, started } = totals;
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(
    `interleavings: ${pairs} pairs, ${played} pause points, ${waited} met the lock, ${seconds} s`,
  );
  expect(pairs).toBe(Object.keys(OPERATIONS).length ** 2);
  expect(waited).toBeGreaterThan(100);
  expect(played - waited).toBeGreaterThan(100);
});

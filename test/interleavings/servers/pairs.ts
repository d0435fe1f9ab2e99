/**
 * Every operation against every other one, on a server: the first stops before each of its statements in turn, and before its
 * commit, while the second runs until it is done or waits. Whatever comes of it, the invariants hold and every answer is true.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OPERATIONS } from "../operations.js";
import { ServerStage, type UnderTest } from "./stage.js";

export function provePairs(name: string, open: () => Promise<UnderTest>): void {
  const stage = new ServerStage();
  const totals = { pairs: 0, played: 0, waited: 0, started: performance.now() };

  beforeAll(async () => stage.open(await open()));
  afterAll(() => stage.close());

  test("the prepared tables violate nothing", () => expect(stage.violations).toEqual([]));

  describe.each(Object.keys(OPERATIONS))("%s, interrupted by", (first) => {
    test.each(Object.keys(OPERATIONS))("%s", async (second) => {
      const calls = [OPERATIONS[first]!("first"), OPERATIONS[second]!("second")] as const;
      const tally = await stage.everywhere(...calls);
      totals.pairs++;
      totals.played += tally.played;
      totals.waited += tally.waited;
      expect(tally.wrong).toEqual([]);
    });
  });

  test("thousands of interleavings were played, with and without a wait for the other", () => {
    const { pairs, played, waited, started } = totals;
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    console.log(
      `interleavings on ${name}: ${pairs} pairs, ${played} pause points, ${waited} waited, ${seconds} s`,
    );
    expect(pairs).toBe(Object.keys(OPERATIONS).length ** 2);
    expect(waited).toBeGreaterThan(100);
    expect(played - waited).toBeGreaterThan(1_000);
  });
}

/** The laws can fail: each broken engine is caught by at least one, and each law catches at least one broken engine. */
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { laws, LawBrokenError, runLaw } from "../../src/testing/index.js";
import { mutants } from "./mutants/index.js";
import { renderMatrix } from "./mutants/matrix.js";
import { fixtures, mutantFixture, type FixtureOf } from "./mutants/mutant.js";

const catches = new Map<string, ReadonlySet<string>>();

async function brokenBy(fixtureOf: FixtureOf): Promise<Set<string>> {
  const broken = new Set<string>();
  for (const law of laws)
    try {
      // None may be skipped here: a law that is not run catches nothing.
      expect(await runLaw(law, fixtureOf(law))).toEqual({ status: "held" });
    } catch (error) {
      if (!(error instanceof LawBrokenError)) throw error;
      broken.add(law.id);
    }
  return broken;
}

test("the sound engine breaks no law", async () => {
  expect([...(await brokenBy(fixtures()))]).toEqual([]);
});

describe("each broken engine is caught", () => {
  test.each(mutants)("$name: $breaks", async (mutant) => {
    const { fixtureOf, stale } = mutantFixture(mutant);
    const broken = await brokenBy(fixtureOf);
    catches.set(mutant.name, broken);
    expect(stale(), "texts that no statement of the engine holds any more").toEqual([]);
    expect([...broken]).toEqual(expect.arrayContaining([...mutant.caughtBy]));
    expect(mutant.caughtBy.length).toBeGreaterThan(0);
  });
});

test("each law catches a broken engine", () => {
  const idle = laws.filter((law) => ![...catches.values()].some((ids) => ids.has(law.id)));
  expect(idle.map((law) => law.id)).toEqual([]);
});

test("names of broken engines are unique", () => {
  expect(new Set(mutants.map((mutant) => mutant.name)).size).toBe(mutants.length);
});

// A closed database keeps its memory until its statements are collected, and the collector does not see that memory: the thirty
// thousand databases of this file would take all there is. It lets go of it when the event loop turns.
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
afterEach(async () => {
  collect();
  await turn();
});

afterAll(() => {
  if (catches.size > 0)
    console.log(
      renderMatrix(
        catches,
        laws.map((law) => law.id),
      ),
    );
});

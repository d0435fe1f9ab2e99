import { describe, expect, test } from "vitest";
import { newId } from "../../../src/storage/ids.js";
import { preference, type Candidate } from "../../../src/storage/several/placement.js";

const THREE: readonly Candidate[] = [
  { name: "a", weight: 1 },
  { name: "b", weight: 2 },
  { name: "c", weight: 0.5 },
];
const KEYS = Array.from({ length: 10_000 }, (_, i) => `key ${i}`);

const firstOf = (key: string, candidates: readonly Candidate[]): string =>
  preference(key, candidates)[0]!.name;

function shares(keys: readonly string[], candidates: readonly Candidate[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) {
    const name = firstOf(key, candidates);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

describe("where a job goes", () => {
  test.each([
    ["keys", KEYS],
    ["ids made in a row", Array.from({ length: 10_000 }, newId)],
  ])("each gets its share of %s, by its weight", (_, keys) => {
    const counts = shares(keys, THREE);
    for (const { name, weight } of THREE) {
      const wanted = (keys.length * weight) / 3.5;
      // Six standard deviations: once in 500 million runs by chance.
      expect(Math.abs(counts.get(name)! - wanted)).toBeLessThan(6 * Math.sqrt(wanted));
    }
  });

  test("one key goes to one database, in whatever order they are listed", () => {
    for (const key of KEYS.slice(0, 100))
      expect(preference(key, THREE.toReversed())).toEqual(preference(key, THREE));
  });

  test("where one is taken away only its own keys move, and in proportion", () => {
    const without = THREE.filter(({ name }) => name !== "b");
    const moved = KEYS.filter((key) => firstOf(key, THREE) === "b");
    for (const key of KEYS)
      if (firstOf(key, THREE) !== "b") expect(firstOf(key, without)).toBe(firstOf(key, THREE));
    const counts = shares(moved, without);
    expect(counts.get("a")! / counts.get("c")!).toBeGreaterThan(1.7);
    expect(counts.get("a")! / counts.get("c")!).toBeLessThan(2.3);
  });

  test("the next ones come in the order in which they would be first", () => {
    for (const key of KEYS.slice(0, 100)) {
      const [first, ...others] = preference(key, THREE);
      expect(
        preference(
          key,
          THREE.filter((one) => one !== first),
        ),
      ).toEqual(others);
    }
  });

  test("of one there is no choice, and of none neither", () => {
    expect(preference("k", [THREE[0]!])).toEqual([THREE[0]]);
    expect(preference("k", [])).toEqual([]);
  });
});

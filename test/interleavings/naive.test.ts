/** A net is worth what it catches: engines with one rule of the protocol taken out are found wrong by the same pairs. */
import { expect, test } from "vitest";
import { OPERATIONS } from "./operations.js";
import { useFileStage, type Tally } from "./stage.js";

const stage = useFileStage();

interface Naive {
  readonly variant: string;
  /** What it lacks. */
  readonly lacks: string;
  readonly operations: readonly string[];
}

/** Each with the operations whose rule it breaks, so that the whole stays short. That ours holds, pairs.test.ts proves. */
const CAUGHT: readonly Naive[] = [
  {
    variant: "autocommit",
    lacks: "transactions",
    operations: ["settle done", "heartbeat", "reap", "cancel", "promote", "prune what is done"],
  },
  {
    variant: "lastOutcomeWins",
    lacks: "the fence",
    operations: ["settle done", "settle failed", "settle a cancelled run", "cancel"],
  },
  {
    variant: "upsertedHeartbeat",
    lacks: "the end of a session",
    operations: ["heartbeat", "reap"],
  },
  {
    variant: "blindPrune",
    lacks: "the look into leases before pruning",
    operations: ["prune what is done", "heartbeat"],
  },
  {
    variant: "keyOfNextLife",
    lacks: "the look whether the job lives again before its key is freed",
    operations: ["settle a cancelled run", "release", "reap", "retry"],
  },
  {
    variant: "stolenKey",
    lacks: "the first holder's right to a unique key",
    operations: ["enqueue with taken keys", "retry"],
  },
];

async function playAll(variant: string, operations: readonly string[]): Promise<Tally> {
  const total: Tally = { played: 0, waited: 0, broken: 0, wrong: [] };
  for (const first of operations)
    for (const second of operations) {
      const calls = [OPERATIONS[first]!("first"), OPERATIONS[second]!("second")] as const;
      const tally = await stage.everywhere(...calls, { variant });
      total.played += tally.played;
      total.waited += tally.waited;
      total.broken += tally.broken;
      total.wrong.push(...tally.wrong.map((what) => `${first}, ${second} ${what}`));
    }
  return total;
}

test.each(CAUGHT)(
  "a naive engine is caught: $variant lacks $lacks",
  async ({ variant, operations }) => {
    const naive = await playAll(variant, operations);
    console.log(`naive: ${variant} broke ${naive.broken} of ${naive.played} interleavings`);
    expect(naive.broken).toBeGreaterThan(0);
  },
);

test("looking before locking is refused by SQLite itself: it costs repetitions, not correctness", async () => {
  const { broken, played, wrong } = await playAll("deferred", ["settle done", "cancel", "reap"]);
  console.log(`naive: deferred broke ${broken} of ${played} interleavings`);
  expect(wrong).toEqual([]);
});

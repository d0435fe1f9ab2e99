/** A net is worth what it catches: server engines with one rule taken out are found wrong by the same pairs. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SERVERS } from "../engines.js";
import { OPERATIONS } from "../operations.js";
import type { Tally } from "../stage.js";
import {
  AUTOCOMMIT,
  IGNORES_TAKEN_KEYS,
  WITHOUT_LOCKS,
  WITHOUT_SKIP,
  type Variant,
} from "./naive.js";
import type { ServerStage } from "./stage.js";

interface Naive {
  /** What it lacks. */
  readonly lacks: string;
  readonly variant: Variant;
  readonly operations: readonly string[];
}

/** Each with a few operations whose rule it breaks, so that the whole stays short. That ours holds, pairs.ts proves. */
const CAUGHT: readonly Naive[] = [
  { lacks: "transactions", variant: AUTOCOMMIT, operations: ["promote", "cancel", "reap"] },
  {
    lacks: "the second look after a key was taken",
    variant: IGNORES_TAKEN_KEYS,
    operations: ["settle done", "cancel"],
  },
  {
    lacks: "the lock on the lease of what is reported",
    variant: WITHOUT_LOCKS,
    operations: ["settle done", "report"],
  },
  {
    lacks: "the lock on the session that is ended",
    variant: WITHOUT_LOCKS,
    operations: ["heartbeat", "reap"],
  },
];

/** The arbiters are the primary keys: nothing is decided by these locks alone. */
const SOUND: readonly (Naive & { readonly because: string })[] = [
  {
    lacks: "locks",
    because: "only one of two who decide the same run can insert its outcome",
    variant: WITHOUT_LOCKS,
    operations: ["settle done", "settle failed", "cancel", "retry"],
  },
  {
    lacks: "the passing by of rows that others take",
    because: "whoever waited finds them gone",
    variant: WITHOUT_SKIP,
    operations: ["claim by a living session", "promote", "cancel"],
  },
];

describe.each(SERVERS)("on $name", (server) => {
  let stage: ServerStage;
  beforeAll(async () => void (stage = await server.stage()));
  afterAll(() => stage?.close());

  async function playAll({ lacks, variant, operations }: Naive): Promise<Tally> {
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
    const { played, broken } = total;
    console.log(`naive: without ${lacks}, ${broken} of ${played} interleavings on ${server.name}`);
    return total;
  }

  test.each(CAUGHT)("a naive engine is caught: it lacks $lacks", async (naive) => {
    expect((await playAll(naive)).broken).toBeGreaterThan(0);
  });

  test.each(SOUND)(
    "an engine that lacks $lacks waits longer, and breaks nothing: $because",
    async (naive) => {
      expect((await playAll(naive)).wrong).toEqual([]);
    },
  );
});

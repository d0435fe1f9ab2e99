/** One of three databases does not answer: it stands still, or the network swallows everything. */
import { test } from "vitest";
import { ALL_HERE } from "./several/databases.js";
import { blackHole, stopped } from "./several/faults.js";
import { FULL, play } from "./several/scenario.js";

test.skipIf(!ALL_HERE)(
  "servers fall silent under producers and workers, and answer again",
  () => play([blackHole("my"), stopped("pg"), ...(FULL ? [blackHole("pg"), stopped("my")] : [])]),
  1_200_000,
);

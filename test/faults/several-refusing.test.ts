/** One of three databases takes no writes: it was set read-only, or its disk is full. */
import { test } from "vitest";
import { ALL_HERE } from "./several/databases.js";
import { fullDisk, readOnly } from "./several/faults.js";
import { play } from "./several/scenario.js";

test.skipIf(!ALL_HERE)(
  "databases take no writes under producers and workers, and take them again",
  () => play([readOnly(), fullDisk()]),
  1_200_000,
);

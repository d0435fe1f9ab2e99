/** One of three databases is killed and started again, each server in turn: nothing acknowledged is lost, nothing is there twice. */
import { test } from "vitest";
import { ALL_HERE } from "./several/databases.js";
import { killed } from "./several/faults.js";
import { FULL, play } from "./several/scenario.js";

test.skipIf(!ALL_HERE)(
  "servers are killed under producers and workers, and started again",
  () => play([killed("pg"), killed("my"), ...(FULL ? [killed("pg"), killed("my")] : [])]),
  1_200_000,
);

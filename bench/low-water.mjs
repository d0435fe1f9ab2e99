/**
 * Draining a lane behind somebody's old snapshot, which keeps all dead entries in ready's index, and without it; with the low-water
 * mark, and with every claim from the lane's beginning.
 * `npm run build && node bench/low-water.mjs postgres://… mysql://…`, with databases that hold nothing else: their tables are
 * dropped. 100 bytes of payload; one claimer settles 500 jobs and claims the next 500, trip after trip.
 */
import { randomUUID } from "node:crypto";
import { LowWater } from "../dist/storage/sql/low-water.js";
import { TABLES } from "../dist/storage/sql/dialect.js";
import { serverOf } from "../dist/storage/server.js";
import { newJob, rate, table } from "./support.mjs";


/** The operations of maintenance, of operators and of those who look, as the contract names them. */
import type { Driver } from "../driver.js";
import { listAttempts } from "./attempts.js";
import { audit } from "./audit.js";
import { counts, tally } from "./counts.js";
import type { Engine } from "./engine.js";
import { identify, rename, setMode } from "./identity.js";
import { listJobs } from "./list.js";
import { listLog } from "./log.js";
import { endings, getJobs } from "./look.js";
import { promote } from "./maintain.js";
import { cancel, purge, retry } from "./operate.js";
import { setPaused } from "./pause.js";
import { prune } from "./prune.js";
import { reschedule } from "./reschedule.js";
import { enqueueFromFailed } from "./revive.js";

export type Looking = Pick<
  Driver,
  | "promote"
  | "prune"
  | "cancel"
  | "retry"
  | "purge"
  | "reschedule"
  | "enqueueFromFailed"
  | "setPaused"
  | "getJobs"
  | "listJobs"
  | "endings"
  | "listLog"
  | "tally"
  | "listAttempts"
  | "counts"
  | "audit"
  | "identify"
  | "rename"
  | "setMode"
>;

export function looking(engine: Engine): Looking {
  return {
    promote: (limit) => promote(engine, limit),
    prune: (step) => prune(engine, step),
    cancel: (ids) => cancel(engine, ids),
    retry: (ids) => retry(engine, ids),
    purge: (ids) => purge(engine, ids),
    reschedule: (changes) => reschedule(engine, changes),
    enqueueFromFailed: (revivals) => enqueueFromFailed(engine, revivals),
    setPaused: (target, paused) => setPaused(engine, target, paused),
    getJobs: (ids) => getJobs(engine, ids),
    listJobs: (query) => listJobs(engine, query),
    endings: (ids) => endings(engine, ids),
    listLog: (query) => listLog(engine, query),
    tally: (since) => tally(engine, since),
    listAttempts: (query) => listAttempts(engine, query),
    counts: (filter) => counts(engine, filter),
    audit: () => audit(engine),
    identify: (name) => identify(engine, name),
    rename: (name, copy) => rename(engine, name, copy),
    setMode: (mode) => setMode(engine, mode),
  };
}

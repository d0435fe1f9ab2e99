/** The operations of producers and workers, as the contract names them. */
import type { Driver } from "../driver.js";
import { insertJobs } from "./enqueue.js";
import type { Engine } from "./engine.js";

export type Working = Pick<
  Driver,
  | "insertJobs"
  | "openSession"
  | "heartbeat"
  | "closeSession"
  | "sessions"
  | "reap"
  | "trip"
  | "markStarted"
  | "payloads"
  | "release"
  | "report"
>;

export function working(engine: Engine): Working {
  return { insertJobs: (jobs) => insertJobs(engine, jobs) } as Working;
}

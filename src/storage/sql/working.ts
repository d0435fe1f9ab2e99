/** The operations of producers and workers, as the contract names them. */
import type { Driver } from "../driver.js";
import { payloads } from "./claimed.js";
import { insertJobs } from "./enqueue.js";
import type { Engine } from "./engine.js";
import { report } from "./report.js";
import { markStarted } from "./running.js";
import { closeSession, dismiss, heartbeat, openSession, reap, sessions } from "./sessions.js";
import { release, trip } from "./settle.js";

export type Working = Pick<
  Driver,
  | "insertJobs"
  | "openSession"
  | "heartbeat"
  | "closeSession"
  | "sessions"
  | "reap"
  | "dismiss"
  | "trip"
  | "markStarted"
  | "payloads"
  | "release"
  | "report"
>;

export function working(engine: Engine): Working {
  return {
    insertJobs: (jobs) => insertJobs(engine, jobs),
    openSession: (session) => openSession(engine, session),
    heartbeat: (beat) => heartbeat(engine, beat),
    closeSession: (session) => closeSession(engine, session),
    sessions: () => sessions(engine),
    reap: (dead) => reap(engine, dead),
    dismiss: (ids, how) => dismiss(engine, ids, how),
    trip: (request) => trip(engine, request),
    markStarted: (runs) => markStarted(engine, runs),
    payloads: (ids) => payloads(engine, ids),
    release: (session, leases) => release(engine, session, leases),
    report: (reports) => report(engine, reports),
  };
}

/** For tests: a clock moved by hand; and, for authors of storage engines, the contract as laws. */
export { manualClock, type ManualClock } from "./clock.js";
export { laws, LawBrokenError, runLaw } from "./conformance/index.js";
export type { Fixture, Law, LawResult } from "./conformance/index.js";
export { Harness, jsonPayload, newJob } from "./conformance/harness.js";
export type { Capability, Clock, JobSpec, TestDatabase } from "./conformance/harness.js";
export { newSession, settlement, TestWorker } from "./conformance/worker.js";
export type { ClaimSpec, HeldJob, SettleSpec } from "./conformance/worker.js";

/** For tests: a queue whose time stands still until it is moved, a clock moved by hand; and, for authors of storage engines, the contract as laws. */
export { manualClock, type ManualClock } from "./clock.js";
export { testQudo, TestQudo, type TestQudoOptions, type TestWorld } from "./kit/test-qudo.js";
export type { WorkerProcess } from "./kit/worker-process.js";
export {
  interleave,
  type Faults,
  type Interleaved,
  type InterleaveOptions,
  type Scenario,
} from "./kit/interleave.js";
export { sleep } from "./kit/handlers.js";
export type { CrashPoint } from "./kit/process.js";
export type { Drained, DrainOptions } from "./kit/drain.js";
export { ExpectationError, type Expected, type Found } from "./kit/expect.js";
export { laws, LawBrokenError, runLaw } from "./conformance/index.js";
export type { Fixture, Law, LawResult } from "./conformance/index.js";
export { Harness, jsonPayload, newJob } from "./conformance/harness.js";
export type { Capability, Clock, JobSpec, TestDatabase } from "./conformance/harness.js";
export { newSession, settlement, TestWorker } from "./conformance/worker.js";
export type { ClaimSpec, HeldJob, SettleSpec } from "./conformance/worker.js";

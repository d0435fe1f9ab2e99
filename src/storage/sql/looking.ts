/** The operations of maintenance, of operators and of those who look, as the contract names them. */
import type { Driver } from "../driver.js";
import type { Engine } from "./engine.js";

export type Looking = Pick<
  Driver,
  | "promote"
  | "prune"
  | "cancel"
  | "retry"
  | "setPaused"
  | "getJobs"
  | "listJobs"
  | "endings"
  | "listLog"
  | "tally"
  | "listAttempts"
  | "counts"
  | "audit"
>;

export function looking(_engine: Engine): Looking {
  return {} as Looking;
}

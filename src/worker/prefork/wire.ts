/** What a child of prefork and its parent say to each other, over the channel that Node gives them. */
import type { WorkerStats } from "../stats.js";

export type ToParent =
  /** A worker's session is open: jobs can be claimed. */
  | { readonly qudo: "ready" }
  /** It lives; said once a second. */
  | { readonly qudo: "sign"; readonly figures: ChildFigures }
  /** Its workers take no more jobs, though nobody told them to stop: another child may take its place. */
  | { readonly qudo: "leaving" }
  /** They cannot work, and have said why. */
  | { readonly qudo: "failed" };

/** What a second signal asks for: give back what runs, and end. */
export type ToChild = { readonly qudo: "force" };

/** What a child says of itself. */
export interface ChildFigures {
  /** What its workers have done so far. */
  readonly stats: WorkerStats;
  /** Bytes of memory that it holds (resident set). */
  readonly memory: number;
}

export function isToParent(message: unknown): message is ToParent {
  return typeof message === "object" && message !== null && "qudo" in message;
}

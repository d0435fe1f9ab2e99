/** What became of an enqueue, and the way to its job's result. */
import type { InsertOutcome } from "../storage/driver.js";
import type { ResultOptions, Results } from "./results.js";

/** Plain data but for {@link result}, which is no property of its own: it is compared, logged and sent as JSON without it. */
export class Enqueued<Result = unknown> {
  readonly id: string;
  /** "inserted"; "duplicate": this id was there already; "unique": another unfinished job has the key, this one was not added. */
  readonly status: InsertOutcome["status"];
  /** The job that has the unique key; null unless status is "unique". */
  readonly holder: string | null;
  /** Which one of several databases was asked. Absent where there is one. */
  readonly database?: string;
  readonly #results: Results;

  constructor(id: string, outcome: InsertOutcome, results: Results) {
    this.id = id;
    this.status = outcome.status;
    this.holder = outcome.status === "unique" ? outcome.holder : null;
    if (outcome.database !== undefined) this.database = outcome.database;
    this.#results = results;
  }

  /**
   * Waits for the job to end; where another one has its unique key, for that one. Resolves to what the handler returned,
   * as JSON carried it: undefined where it returned nothing. While it waits it keeps the process alive.
   * @throws JobFailedError QUDO_JOB_FAILED when it was abandoned or cancelled; QUDO_RESULT_TIMEOUT; QUDO_JOB_ABSENT when
   * it is not there any more; the signal's reason.
   */
  result(options?: ResultOptions): Promise<Result> {
    return this.#results.wait(this.holder ?? this.id, options) as Promise<Result>;
  }
}

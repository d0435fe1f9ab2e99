/** What became of every run: the log of outcomes. */
import { InvalidInputError } from "../core/errors.js";
import { checkInteger, checkOptions, show } from "../core/options.js";
import { RUN_STATES, type RunState } from "../core/states.js";
import type { Driver } from "../storage/driver.js";
import { attemptInfo, checkId, type AttemptInfo } from "./info.js";

/** Which attempts {@link Attempts.list} shows. Default: all. */
export interface AttemptFilter {
  /** Id of one job. */
  job?: string;
  queue?: string;
  kind?: string;
  states?: readonly RunState[];
}

export class Attempts {
  constructor(private readonly driver: () => Promise<Driver>) {}

  /** Every outcome, oldest first, read in pages: `for await (const attempt of qudo.attempts.list({ queue }))`. */
  async *list(filter: AttemptFilter = {}, pageSize = 1_000): AsyncGenerator<AttemptInfo> {
    const limit = checkInteger(pageSize, "pageSize", 1, 10_000);
    checkOptions(filter, ["job", "queue", "kind", "states"], "attempts.list");
    checkStates(filter.states ?? []);
    const only = { ...filter, ...(filter.job !== undefined && { job: checkId(filter.job) }) };
    const driver = await this.driver();
    let after: string | undefined;
    for (;;) {
      const page = await driver.listAttempts({ ...only, limit, ...(after && { after }) });
      for (const row of page.rows) yield attemptInfo(row);
      if (page.next === null) return;
      after = page.next;
    }
  }
}

function checkStates(states: readonly unknown[]): void {
  for (const state of states)
    if (typeof state !== "string" || !Object.hasOwn(RUN_STATES, state))
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        `There is no run state ${show(state)}. There are: ${Object.keys(RUN_STATES).join(", ")}.`,
      );
}

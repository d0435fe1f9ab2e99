/** What became of every run: the log of outcomes. */
import { InvalidInputError } from "../core/errors.js";
import { checkInteger, checkOptions, show } from "../core/options.js";
import { RUN_STATES, type RunState } from "../core/states.js";
import type { AttemptPage, Driver } from "../storage/driver.js";
import { choose } from "./databases.js";
import { Gaps } from "./gaps.js";
import { attemptInfo, checkId, type AttemptInfo } from "./info.js";

/** Which attempts {@link Attempts.list} shows. Default: all. */
export interface AttemptFilter {
  /** Id of one job. */
  job?: string;
  queue?: string;
  kind?: string;
  states?: readonly RunState[];
  /** Name of one of several databases. Default: all. */
  database?: string;
}

export class Attempts {
  constructor(private readonly driver: () => Promise<Driver>) {}

  /**
   * Every outcome, oldest first, read in pages: `for await (const attempt of qudo.attempts.list({ queue }))`.
   * @throws IncompleteError at its end, when one of several databases could not be asked.
   */
  async *list(filter: AttemptFilter = {}, pageSize = 1_000): AsyncGenerator<AttemptInfo> {
    const limit = checkInteger(pageSize, "pageSize", 1, 10_000);
    checkOptions(filter, ["job", "queue", "kind", "states", "database"], "attempts.list");
    checkStates(filter.states ?? []);
    const { database: name, ...query } = filter;
    const only = { ...query, ...(query.job !== undefined && { job: checkId(query.job) }) };
    const { driver, database } = choose(await this.driver(), name);
    const unasked = new Gaps();
    let after: string | null = null;
    do {
      const asked = driver.listAttempts({ ...only, limit, ...(after && { after }) });
      const page: AttemptPage = await unasked.passing(asked);
      for (const row of page.rows) yield attemptInfo(row, database);
      after = page.next;
    } while (after !== null);
    unasked.complete(undefined);
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

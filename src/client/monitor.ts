/** Figures: how many jobs are where, what happened, which workers are there. */
import type { Duration } from "../core/duration.js";
import { checkOptions } from "../core/options.js";
import type { Driver, LaneCounts, SessionRow, TallyRow } from "../storage/driver.js";
import { checkMoment } from "./filter.js";

/** How often something happened to the jobs of one queue and kind within one minute. */
export interface Throughput extends Omit<TallyRow, "minute"> {
  /** Its beginning. */
  readonly minute: Date;
}

export class Monitor {
  constructor(private readonly driver: () => Promise<Driver>) {}

  /** Jobs by state, for each queue and kind. */
  async counts(filter: { queue?: string; kind?: string } = {}): Promise<LaneCounts[]> {
    checkOptions(filter, ["queue", "kind"], "monitor.counts");
    return (await this.driver()).counts(filter);
  }

  /**
   * Every enqueue and every end of a run, counted per minute, queue and kind, from this moment or so long ago on. Kept for as long
   * as `keep.counts` of Qudo says.
   */
  async tally(since: Date | Duration): Promise<Throughput[]> {
    const from = checkMoment(since, "since");
    const driver = await this.driver();
    const rows = await driver.tally(await from(driver));
    return rows.map(({ minute, ...row }) => ({ minute: new Date(minute), ...row }));
  }

  /** Workers that are known to the database, dead ones until they are reaped. */
  async workers(): Promise<SessionRow[]> {
    return (await this.driver()).sessions();
  }
}

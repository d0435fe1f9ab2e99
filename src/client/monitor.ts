/** Figures: how many jobs are where, which workers are there. */
import { checkOptions } from "../core/options.js";
import type { Driver, LaneCounts, SessionRow } from "../storage/driver.js";

export class Monitor {
  constructor(private readonly driver: () => Promise<Driver>) {}

  /** Jobs by state, for each queue and kind. */
  async counts(filter: { queue?: string; kind?: string } = {}): Promise<LaneCounts[]> {
    checkOptions(filter, ["queue", "kind"], "monitor.counts");
    return (await this.driver()).counts(filter);
  }

  /** Workers that are known to the database, dead ones until they are reaped. */
  async workers(): Promise<SessionRow[]> {
    return (await this.driver()).sessions();
  }
}

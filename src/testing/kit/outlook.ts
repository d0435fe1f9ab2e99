/** What there is to do for the workers that live, read off the database; asked again only when something may have changed. */
import type { LaneCounts } from "../../storage/driver.js";
import type { AutoStage } from "./auto-stage.js";

/** What there is to do. */
export interface Work {
  /** Jobs that are due, or in somebody's hands. */
  readonly now: number;
  /** Milliseconds until another one is due; null when none waits for that. */
  readonly nextMs: number | null;
}

const ROWS = 1_000;

export class Outlook {
  private seen: { readonly changes: number; readonly at: number; readonly work: Work } | null =
    null;

  /** `quiet` resolves when nothing more happens without time passing. */
  constructor(
    private readonly stage: AutoStage,
    private readonly quiet: () => Promise<void>,
  ) {}

  async ask(): Promise<Work> {
    const { ledger, timeline } = this.stage;
    const { seen } = this;
    if (seen?.changes === ledger.changes) {
      const { nextMs, now } = seen.work;
      const left = nextMs === null ? null : nextMs - (timeline.now - seen.at);
      if (left === null || left > 0) return { now, nextMs: left };
    }
    const work = await this.look();
    this.seen = { changes: ledger.changes, at: timeline.now, work };
    return work;
  }

  private async look(): Promise<Work> {
    const { database, ledger } = this.stage;
    const { moved, nextDueMs } = await database.promote(ROWS);
    if (moved > 0) {
      this.stage.wakeAll();
      await this.quiet();
      return this.look();
    }
    const lanes = (await database.counts({})).filter(
      ({ queue, kind, paused }) => !paused && ledger.serves(queue, kind),
    );
    const sum = (of: (lane: LaneCounts) => number): number =>
      lanes.reduce((total, lane) => total + of(lane), 0);
    const delayed = sum((lane) => lane.delayed);
    const waiting = sum((lane) => lane.pending + lane.failed);
    const held = sum((lane) => lane.reserved + lane.running);
    return { now: waiting - delayed + held, nextMs: delayed > 0 ? nextDueMs : null };
  }
}

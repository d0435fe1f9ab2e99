/**
 * What happened, counted per minute, lane and event. Gathered while a transaction goes on and written before its commit: a
 * few rows per commit, however many jobs it moves. The session is part of the key, so that no two workers write to one row.
 */
import { ENQUEUED, RUN_STATES, type RunState } from "../../core/states.js";
import type { Tx } from "./database.js";
import type { Dialect, TALLY } from "./dialect.js";
import type { RowOf } from "./rows.js";

const MINUTE_MS = 60_000;

export const startOfMinute = (at: number): number => at - (at % MINUTE_MS);

/** The transaction whose counts are written. */
interface Counted {
  readonly dialect: Dialect;
  readonly tx: Tx;
  readonly now: number;
}

/** Of one transaction. */
export class Tally {
  private readonly counts = new Map<string, Omit<RowOf<typeof TALLY>, "minute" | "n">>();
  private readonly n = new Map<string, number>();

  /** `self` stands in the rows of what no worker's session did. */
  constructor(private readonly self: string) {}

  enqueued(lane: number): void {
    this.count(lane, ENQUEUED, this.self);
  }

  /** `session`: of the worker that ended the run; null where nobody's did. */
  ended(lane: number, state: RunState, session: string | null): void {
    this.count(lane, RUN_STATES[state], session ?? this.self);
  }

  /** The last thing before the commit: rows that others may wait for are held for as short as can be, and always in one order. */
  async write({ dialect, now, tx }: Counted): Promise<void> {
    if (this.counts.size === 0) return;
    const minute = startOfMinute(now);
    const rows = [...this.counts.keys()]
      .toSorted()
      .map((key) => ({ minute, ...this.counts.get(key)!, n: this.n.get(key)! }));
    await tx.run(dialect.addToTally(rows));
  }

  private count(lane: number, event: number, session: string): void {
    const key = `${lane}/${event}/${session}`;
    this.counts.set(key, { lane, event, session });
    this.n.set(key, (this.n.get(key) ?? 0) + 1);
  }
}

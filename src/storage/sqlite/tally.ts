/**
 * What happened, counted per minute, lane and event. Gathered while a transaction goes on and written before its commit: a
 * few rows per commit, however many jobs it moves. The session is part of the key, so that no two workers write to one row.
 */
import { ENQUEUED, RUN_STATES, type RunState } from "../../core/states.js";
import { startOfMinute } from "../sql/tally.js";
import type { Connection } from "./connection.js";
import { SQL } from "./statements.js";

interface Entry {
  readonly lane: number;
  readonly event: number;
  readonly session: Uint8Array;
  n: number;
}

/** Of one connection: one transaction at a time. */
export class Tally {
  private entries: Entry[] = [];

  /** A transaction begins: what an earlier one left behind was rolled back with it. */
  begun(): void {
    if (this.entries.length > 0) this.entries = [];
  }

  enqueued(lane: number, session: Uint8Array): void {
    this.count(lane, ENQUEUED, session);
  }

  ended(lane: number, state: RunState, session: Uint8Array): void {
    this.count(lane, RUN_STATES[state], session);
  }

  /** The last thing before the commit. */
  write(db: Connection, now: number): void {
    const minute = startOfMinute(now);
    for (const { lane, event, session, n } of this.entries)
      db.run(SQL.addToTally, minute, lane, event, session, n);
    this.begun();
  }

  /** The same few come again and again, the last one most often: a walk from the end is shorter than making a key. */
  private count(lane: number, event: number, session: Uint8Array): void {
    for (let i = this.entries.length - 1; i >= 0; i--) {
      const entry = this.entries[i]!;
      if (entry.lane === lane && entry.event === event && same(entry.session, session)) {
        entry.n++;
        return;
      }
    }
    this.entries.push({ lane, event, session, n: 1 });
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0;

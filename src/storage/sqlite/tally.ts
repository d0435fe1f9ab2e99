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

/** Which lanes the jobs of a lease are of: one number where all are of one lane, else one for each entry. */
export type LanesOfLease = number | readonly number[];

/** Leases remembered: more than any worker holds at a time. */
const LEASES = 256;

/**
 * Lanes of what this connection has claimed, so that a settle need not look each job's up for the tally. A job's lane
 * never changes, so what is remembered is true whatever became of the lease; what is not remembered is looked up.
 */
export class LeaseLanes {
  private readonly known = new Map<string, LanesOfLease>();

  remember(lease: string, lanes: readonly number[]): void {
    if (this.known.size >= LEASES)
      for (const oldest of this.known.keys()) {
        this.known.delete(oldest);
        break;
      }
    this.known.set(lease, lanes.every((lane) => lane === lanes[0]) ? lanes[0]! : lanes);
  }

  of(lease: string): LanesOfLease | undefined {
    return this.known.get(lease);
  }

  forget(lease: string): void {
    this.known.delete(lease);
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a === b || Buffer.compare(a, b) === 0;

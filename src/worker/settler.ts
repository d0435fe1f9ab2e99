/** Finished runs on their way to the database, by lease. One group per lease is under way at a time; the last one closes it. */
import type { Time } from "../core/time.js";
import { LIMITS } from "../core/defaults.js";
import type { SettleGroup, Settlement } from "../storage/driver.js";

interface OpenLease {
  /** Runs that have no settlement yet. */
  open: number;
  waiting: Settlement[];
}

export class Settler {
  private readonly leases = new Map<string, OpenLease>();
  private readonly touched = new Set<string>();
  private waitingCount = 0;
  private oldest: number | null = null;

  /** `lingerMs`: how long a settlement waits for company. */
  constructor(
    private readonly session: () => string,
    private readonly lingerMs: () => number,
    private readonly time: Time,
  ) {}

  /** Settlements that wait for a trip. */
  get waiting(): number {
    return this.waitingCount;
  }

  /** Until the oldest has waited long enough, where one waits. */
  get dueInMs(): number {
    return this.oldest === null ? 0 : this.oldest + this.lingerMs() - this.time.now();
  }

  /** They should go. */
  get due(): boolean {
    return (
      this.waitingCount > 0 && (this.waitingCount >= LIMITS.rowsPerStatement || this.dueInMs <= 0)
    );
  }

  /** Runs of it are open, or settlements on their way. */
  holds(lease: string): boolean {
    return this.leases.has(lease);
  }

  opened(lease: string, runs: number): void {
    this.leases.set(lease, { open: runs, waiting: [] });
  }

  /** False for leases that are gone (their session was lost): the settlement is dropped, it counts no more. */
  add(lease: string, settlement: Settlement): boolean {
    const entry = this.leases.get(lease);
    if (entry === undefined) return false;
    entry.open--;
    entry.waiting.push(settlement);
    this.touched.add(lease);
    this.waitingCount++;
    this.oldest ??= this.time.now();
    return true;
  }

  /** For one trip: at most so many settlements. */
  take(limit: number): SettleGroup[] {
    const session = this.session();
    const groups: SettleGroup[] = [];
    let room = limit;
    for (const lease of this.touched) {
      if (room === 0) break;
      const entry = this.leases.get(lease)!;
      const settlements = entry.waiting.splice(0, room);
      room -= settlements.length;
      if (entry.waiting.length === 0) this.touched.delete(lease);
      const close = entry.open === 0 && entry.waiting.length === 0;
      groups.push({ lease, session, settlements, close });
    }
    this.waitingCount -= limit - room;
    if (this.waitingCount === 0) this.oldest = null;
    return groups;
  }

  /** The trip failed: they go again, with the next one. Returns those that were dropped because their lease is gone. */
  putBack(groups: readonly SettleGroup[]): Settlement[] {
    const dropped: Settlement[] = [];
    for (const { lease, settlements } of groups) {
      const entry = this.leases.get(lease);
      if (entry === undefined) {
        dropped.push(...settlements);
        continue;
      }
      entry.waiting.unshift(...settlements);
      this.touched.add(lease);
      this.waitingCount += settlements.length;
      this.oldest ??= this.time.now();
    }
    return dropped;
  }

  /** The trip arrived: leases that it closed are forgotten. */
  applied(groups: readonly SettleGroup[]): void {
    for (const { lease, close } of groups) if (close) this.leases.delete(lease);
  }

  /** The session is gone, and with it every lease. Returns the settlements that were dropped. */
  clear(): Settlement[] {
    const dropped = Array.from(this.leases.values(), ({ waiting }) => waiting).flat();
    this.leases.clear();
    this.touched.clear();
    this.waitingCount = 0;
    this.oldest = null;
    return dropped;
  }
}

/** Finished runs on their way to the database, by lease. One group per lease is under way at a time; the last one closes it. */
import type { SettleGroup, Settlement, SettleOutcome } from "../storage/driver.js";

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

  constructor(private session: () => string) {}

  /** Settlements that wait for a trip. */
  get waiting(): number {
    return this.waitingCount;
  }

  /** How long the oldest has waited. */
  get waitingMs(): number {
    return this.oldest === null ? 0 : performance.now() - this.oldest;
  }

  /** Runs of it are open, or settlements on their way. */
  holds(lease: string): boolean {
    return this.leases.has(lease);
  }

  opened(lease: string, runs: number): void {
    this.leases.set(lease, { open: runs, waiting: [] });
  }

  /** Settlements of leases that are gone (their session was lost) are dropped: they count no more. */
  add(lease: string, settlement: Settlement): void {
    const entry = this.leases.get(lease);
    if (entry === undefined) return;
    entry.open--;
    entry.waiting.push(settlement);
    this.touched.add(lease);
    this.waitingCount++;
    this.oldest ??= performance.now();
  }

  take(): SettleGroup[] {
    const session = this.session();
    const groups = Array.from(this.touched, (lease) => {
      const entry = this.leases.get(lease)!;
      const settlements = entry.waiting;
      entry.waiting = [];
      return { lease, session, settlements, close: entry.open === 0 };
    });
    this.touched.clear();
    this.waitingCount = 0;
    this.oldest = null;
    return groups;
  }

  /** The trip failed: they go again, with the next one. */
  putBack(groups: readonly SettleGroup[]): void {
    for (const { lease, settlements } of groups) {
      const entry = this.leases.get(lease);
      if (entry === undefined) continue;
      entry.waiting.unshift(...settlements);
      this.touched.add(lease);
      this.waitingCount += settlements.length;
      this.oldest ??= performance.now();
    }
  }

  /** Forgets leases that are closed. Returns how many settlements were lost to others. */
  applied(groups: readonly SettleGroup[], outcomes: readonly (readonly SettleOutcome[])[]): number {
    let lost = 0;
    groups.forEach((group, i) => {
      if (group.close) this.leases.delete(group.lease);
      for (const outcome of outcomes[i] ?? []) if (outcome === "lost") lost++;
    });
    return lost;
  }

  /** The session is gone, and with it every lease. */
  clear(): void {
    this.leases.clear();
    this.touched.clear();
    this.waitingCount = 0;
    this.oldest = null;
  }
}

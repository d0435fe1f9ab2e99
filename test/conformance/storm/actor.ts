/**
 * Everybody does everything at once: actors, each on a connection of its own, do whatever may be done to one database, in an order
 * that a seed decides and an interleaving that nobody does. What each was told is written down, and must be true in the end.
 */
import { SessionLostError } from "../../../src/core/errors.js";
import {
  afterAbort,
  afterFailure,
  afterRelease,
  afterSnooze,
  afterSuccess,
  type Decision,
} from "../../../src/core/outcome.js";
import type {
  ClaimedJob,
  Driver,
  HeldRun,
  InsertOutcome,
  NewJob,
  Settlement,
  SettleGroup,
  SettleOutcome,
} from "../../../src/storage/driver.js";
import { newId } from "../../../src/storage/ids.js";
import { newJob, newSession, settlement, type Clock } from "../../../src/testing/index.js";
import type { Dice } from "./dice.js";
import { runName, type Ledger } from "./ledger.js";

export const QUEUES = ["north", "south"];
export const KINDS = ["mail", "fax", "wire"];
const KEYS = ["a", "b", "c", "d", "e"];
/** Past the least age of what is pruned. */
const OLD_MS = 700_000;

interface Holding {
  readonly lease: string;
  readonly session: string;
  readonly jobs: ClaimedJob[];
}

/** One that does whatever its dice say. */
export class Actor {
  private session = "";
  private holdings: Holding[] = [];
  /** What it has settled, or lost: to be settled again. */
  private readonly past: Holding[] = [];

  constructor(
    private readonly driver: Driver,
    /** Of somebody else: for what is done twice at once. */
    private readonly other: Driver,
    private readonly clock: Clock | undefined,
    private readonly ledger: Ledger,
    private readonly dice: Dice,
  ) {}

  async begin(): Promise<void> {
    const session = newSession({ kinds: KINDS });
    await this.driver.openSession(session);
    this.session = session.id;
  }

  async act(): Promise<void> {
    const deeds = Object.entries(DEEDS);
    const total = deeds.reduce((sum, [, { weight }]) => sum + weight, 0);
    let at = this.dice.below(total);
    for (const [name, { weight, act }] of deeds) {
      at -= weight;
      if (at >= 0) continue;
      try {
        await act.call(this);
      } catch (error) {
        if (error instanceof SessionLostError) await this.lose();
        else this.ledger.wrong.push(`${name}: ${String((error as Error).stack)}`);
      }
      return;
    }
  }

  /** Its session is gone; it goes on as a late worker with what it held. */
  private async lose(): Promise<void> {
    this.past.push(...this.holdings);
    this.holdings = [];
    await this.begin();
  }

  // — producers

  async enqueue(): Promise<void> {
    const { dice } = this;
    const jobs = Array.from({ length: 1 + dice.below(dice.one(12) ? 40 : 5) }, () => this.newJob());
    this.ledger.calls.push(jobs);
    await this.insert(jobs);
  }

  async enqueueAgain(): Promise<void> {
    const jobs = this.dice.pick(this.ledger.calls);
    if (jobs !== undefined) await this.insert(jobs);
  }

  async enqueueTwice(): Promise<void> {
    const jobs = Array.from({ length: 3 }, () => this.newJob());
    const answers = await Promise.all([this.insert(jobs), this.insert(jobs, this.other)]);
    for (const [i, { id }] of jobs.entries()) {
      const told = answers.map((outcomes) => outcomes[i]!.status);
      if (told.filter((status) => status === "inserted").length > 1)
        this.ledger.wrong.push(`${id} was inserted by two`);
    }
  }

  private newJob(): NewJob {
    const { dice } = this;
    return newJob({
      queue: dice.pick(QUEUES)!,
      kind: dice.pick(KINDS)!,
      priority: dice.below(3) - 1,
      delayMs: dice.one(4) ? dice.below(2_000) : 0,
      maxAttempts: 1 + dice.below(4),
      uniqueKey: dice.one(3) ? dice.pick(KEYS)! : null,
    });
  }

  private async insert(jobs: readonly NewJob[], driver = this.driver): Promise<InsertOutcome[]> {
    const answered = this.ledger.inserting(jobs);
    try {
      const outcomes = await driver.insertJobs(jobs);
      this.ledger.inserts(jobs, outcomes);
      return outcomes;
    } finally {
      answered();
    }
  }

  // — workers

  async claim(): Promise<void> {
    const lease = newId();
    await this.claimAs(lease, [this.driver]);
  }

  /** The first answer is late: it is sent again. */
  async claimTwice(): Promise<void> {
    const lease = newId();
    await this.claimAs(lease, [this.driver, this.other]);
  }

  private async claimAs(lease: string, drivers: readonly Driver[]): Promise<void> {
    const { session } = this;
    const claim = { lease, session, wants: this.wants() };
    const trips = await Promise.allSettled(drivers.map((d) => d.trip({ settle: [], claim })));
    const jobs = new Map<string, ClaimedJob>();
    for (const trip of trips)
      if (trip.status === "fulfilled") for (const job of trip.value.claimed) jobs.set(job.job, job);
    this.ledger.claims(lease, [...jobs.values()]);
    if (jobs.size > 0) this.holdings.push({ lease, session, jobs: [...jobs.values()] });
    for (const trip of trips) if (trip.status === "rejected") throw trip.reason;
  }

  private wants() {
    const { dice } = this;
    return QUEUES.filter(() => !dice.one(3)).map((queue) => ({
      queue,
      kinds: KINDS.filter(() => !dice.one(3)),
      limit: 1 + dice.below(8),
    }));
  }

  async settle(): Promise<void> {
    const groups = this.groups();
    const { settled } = await this.driver.trip({ settle: groups, claim: null });
    this.settledAll(groups, settled);
  }

  async settleAndClaim(): Promise<void> {
    const groups = this.groups();
    const lease = newId();
    const { session } = this;
    const claim = { lease, session, wants: this.wants() };
    const { settled, claimed } = await this.driver.trip({ settle: groups, claim });
    this.settledAll(groups, settled);
    this.ledger.claims(lease, claimed);
    if (claimed.length > 0) this.holdings.push({ lease, session, jobs: [...claimed] });
  }

  /** The same settlements on two ways at once. */
  async settleTwice(): Promise<void> {
    const groups = this.groups();
    const drivers = [this.driver, this.other];
    const trips = await Promise.all(drivers.map((d) => d.trip({ settle: groups, claim: null })));
    for (const { settled } of trips) this.settledAll(groups, settled);
  }

  /** Late, and perhaps decided otherwise. */
  async settlePast(): Promise<void> {
    const holding = this.dice.pick(this.past);
    if (holding === undefined) return;
    const groups = [this.group(holding, holding.jobs)];
    const { settled } = await this.driver.trip({ settle: groups, claim: null });
    this.settledAll(groups, settled);
  }

  private groups(): SettleGroup[] {
    const { dice } = this;
    const some = this.holdings.filter(() => dice.one(2));
    return some.map((holding) => {
      const jobs = holding.jobs.filter(() => !dice.one(3));
      return this.group(holding, jobs);
    });
  }

  private group({ lease, session, jobs }: Holding, some: readonly ClaimedJob[]): SettleGroup {
    const settlements = some.map((job) => this.settlement(job));
    return { lease, session, settlements, close: some.length === jobs.length || this.dice.one(5) };
  }

  private settlement(job: ClaimedJob): Settlement {
    const line = { seq: 1 + this.dice.below(3), agoMs: 0, level: "info", text: "said" } as const;
    const lines = this.dice.one(4) ? [line] : [];
    return settlement(job, this.decision(job), { lines, result: null });
  }

  private decision(job: ClaimedJob): Decision {
    const { dice } = this;
    const delayMs = dice.one(2) ? 0 : dice.below(1_000);
    const decisions = [
      () => afterSuccess(job),
      () => afterSuccess(job),
      () => afterFailure(job, () => delayMs),
      () => afterSnooze(job, delayMs),
      () => afterRelease(job),
      () => afterAbort(job),
    ];
    return dice.pick(decisions)!();
  }

  private settledAll(
    groups: readonly SettleGroup[],
    settled: readonly (readonly SettleOutcome[])[],
  ): void {
    for (const [i, group] of groups.entries()) {
      this.ledger.settles(group, settled[i]!);
      const holding = this.holdings.find(({ lease }) => lease === group.lease);
      if (holding === undefined) continue;
      const gone = new Set(group.settlements.map(runName));
      const jobs = holding.jobs.filter((job) => !gone.has(runName(job)));
      this.past.push({
        ...holding,
        jobs: holding.jobs.filter((job) => gone.has(runName(job))),
      });
      this.holdings = this.holdings.filter((one) => one !== holding);
      if (jobs.length > 0) this.holdings.push({ ...holding, jobs });
    }
  }

  async markStarted(): Promise<void> {
    await this.driver.markStarted(this.heldRuns());
  }

  async report(): Promise<void> {
    const { dice } = this;
    await this.driver.report(
      this.heldRuns().map((run) => ({
        ...run,
        progress: dice.one(2) ? String(dice.below(100)) : null,
        lines: dice.one(3) ? [{ seq: 7, agoMs: 0, level: "warn" as const, text: "going on" }] : [],
      })),
    );
  }

  private heldRuns(): HeldRun[] {
    const { dice } = this;
    const all = [...this.holdings, ...this.past.slice(-3)];
    return all.flatMap(({ lease, session, jobs }) =>
      jobs.filter(() => dice.one(2)).map(({ job, run }) => ({ job, run, lease, session })),
    );
  }

  async heartbeat(): Promise<void> {
    const { session } = this;
    const running = this.holdings.flatMap(({ jobs }) => jobs.map(({ job, run }) => ({ job, run })));
    const { alive, leases } = await this.driver.heartbeat({ session, running });
    if (!alive) return this.lose();
    if (this.ledger.dead.has(session)) this.ledger.wrong.push(`${session} came back to life`);
    const known = new Set(this.holdings.map(({ lease }) => lease));
    const orphans = leases.filter((lease) => !known.has(lease));
    if (orphans.length > 0) await this.driver.release(session, orphans);
  }

  async release(): Promise<void> {
    const holding = this.dice.pick(this.holdings);
    if (holding === undefined) return;
    this.holdings = this.holdings.filter((one) => one !== holding);
    this.past.push(holding);
    await this.driver.release(holding.session, [holding.lease]);
  }

  async closeSession(): Promise<void> {
    if (this.holdings.length > 0) return;
    if (await this.driver.closeSession(this.session)) {
      this.ledger.dead.add(this.session);
      await this.begin();
    }
  }

  // — everybody else

  async reap(): Promise<void> {
    const one = this.dice.pick(await this.driver.sessions());
    if (one === undefined) return;
    const dead = [{ id: one.id, beat: one.beat, cause: "gone", leaseMs: 0 }] as const;
    const drivers = this.dice.one(2) ? [this.driver, this.other] : [this.driver];
    const answers = (await Promise.all(drivers.map((d) => d.reap(dead)))).flat();
    const reaped = answers.filter(({ status }) => status === "reaped").length;
    if (reaped > 0) this.ledger.dead.add(one.id);
    if (reaped > 1) this.ledger.wrong.push(`${one.id} was reaped twice`);
  }

  async promote(): Promise<void> {
    await this.driver.promote(1 + this.dice.below(50));
  }

  async cancel(): Promise<void> {
    const ids = this.someIds();
    const outcomes = await this.driver.cancel(ids);
    for (const [i, outcome] of outcomes.entries())
      if (outcome === "cancelled") this.ledger.ended.add(ids[i]!);
  }

  async retry(): Promise<void> {
    const ended = [...this.ledger.ended];
    await this.driver.retry(Array.from({ length: 4 }, () => this.dice.pick(ended)).filter(isThere));
  }

  private someIds(): string[] {
    const { dice, ledger } = this;
    // The young ones are where something goes on.
    const ids = ledger.inserted.slice(-60);
    return Array.from({ length: 1 + dice.below(4) }, () => dice.pick(ids)).filter(isThere);
  }

  async prune(): Promise<void> {
    const scan = this.dice.pick(["done", "other", "own", "counts"] as const)!;
    await this.driver.prune({ scan, keepMs: 0, after: null, limit: 50 });
  }

  async pause(): Promise<void> {
    const queue = this.dice.pick(QUEUES)!;
    const kind = this.dice.one(2) ? this.dice.pick(KINDS)! : null;
    await this.driver.setPaused({ queue, kind }, true);
    await this.driver.setPaused({ queue, kind }, false);
  }

  async look(): Promise<void> {
    const ids = this.someIds();
    await Promise.all([
      this.driver.getJobs(ids),
      this.driver.payloads(ids),
      this.driver.counts({}),
    ]);
    await this.driver.listJobs({ limit: 20 });
  }

  async audit(): Promise<void> {
    for (const { invariant, job, run, detail } of await this.driver.audit())
      this.ledger.wrong.push(`audit, while it storms: ${invariant} ${job}/${run}: ${detail}`);
  }

  tick(): Promise<void> {
    this.clock?.advance(this.dice.one(8) ? OLD_MS : this.dice.below(500));
    return Promise.resolve();
  }
}

interface Deed {
  readonly weight: number;
  readonly act: (this: Actor) => Promise<void>;
}

const { prototype: does } = Actor;
const DEEDS: Readonly<Record<string, Deed>> = {
  enqueue: { weight: 10, act: does.enqueue },
  enqueueAgain: { weight: 3, act: does.enqueueAgain },
  enqueueTwice: { weight: 3, act: does.enqueueTwice },
  claim: { weight: 10, act: does.claim },
  claimTwice: { weight: 3, act: does.claimTwice },
  settle: { weight: 10, act: does.settle },
  settleAndClaim: { weight: 10, act: does.settleAndClaim },
  settleTwice: { weight: 3, act: does.settleTwice },
  settlePast: { weight: 4, act: does.settlePast },
  markStarted: { weight: 5, act: does.markStarted },
  report: { weight: 4, act: does.report },
  heartbeat: { weight: 8, act: does.heartbeat },
  release: { weight: 3, act: does.release },
  closeSession: { weight: 2, act: does.closeSession },
  reap: { weight: 5, act: does.reap },
  promote: { weight: 6, act: does.promote },
  cancel: { weight: 8, act: does.cancel },
  retry: { weight: 6, act: does.retry },
  prune: { weight: 4, act: does.prune },
  pause: { weight: 1, act: does.pause },
  look: { weight: 3, act: does.look },
  audit: { weight: 1, act: does.audit },
  tick: { weight: 4, act: does.tick },
};

function isThere<T>(value: T | undefined): value is T {
  return value !== undefined;
}

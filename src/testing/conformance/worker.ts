/** A worker as laws need it: a session that claims, decides as the product's core decides, and settles. */
import { equal } from "node:assert/strict";
import { DEFAULTS } from "../../core/defaults.js";
import {
  afterAbort,
  afterFailure,
  afterRelease,
  afterSnooze,
  afterSuccess,
  type Decision,
} from "../../core/outcome.js";
import type {
  ClaimedJob,
  Driver,
  HeartbeatOutcome,
  LogLine,
  NewSession,
  RunKey,
  RunReport,
  Settlement,
  SettleGroup,
  SettleOutcome,
  TripOutcome,
  Want,
} from "../../storage/driver.js";
import { newId } from "../../storage/ids.js";

/** A claimed job with what its worker needs to settle it. */
export interface HeldJob extends ClaimedJob {
  readonly lease: string;
  readonly session: string;
}

/** What a {@link TestWorker} is to claim. Default: up to ten jobs of kind "mail" of the default queue. */
export interface ClaimSpec extends Partial<Want> {
  /** Lease id; a new one when left out. */
  readonly lease?: string;
  /** Instead of the one want that `queue`, `kinds` and `limit` make. */
  readonly wants?: readonly Want[];
}

/** A session that can be opened, with what the law cares about put in its place. */
export function newSession(spec: Partial<NewSession> = {}): NewSession {
  return {
    id: newId(),
    name: "conformance",
    host: "localhost",
    pid: 1,
    process: null,
    leaseMs: 30_000,
    kinds: ["mail"],
    version: "0",
    ...spec,
  };
}

/** What a settlement says beside the decision. */
export type SettleSpec = Partial<
  Pick<Settlement, "elapsedMs" | "result" | "error" | "lines" | "completed" | "children">
>;

/** What a worker sends at the end of a run, decided by core. */
export function settlement(held: RunKey, decision: Decision, spec: SettleSpec = {}): Settlement {
  const { job, run } = held;
  return { job, run, ...decision, elapsedMs: null, result: null, error: null, ...spec };
}

/** A session of its own on a driver, and the leases that it holds. */
export class TestWorker {
  /** Runs it has claimed and not settled, by lease: the group that settles the last one closes the lease. */
  private readonly open = new Map<string, Set<string>>();

  private constructor(
    readonly driver: Driver,
    readonly session: string,
  ) {}

  static async open(driver: Driver): Promise<TestWorker> {
    const session = newSession();
    await driver.openSession(session);
    return new TestWorker(driver, session.id);
  }

  /** Claims up to ten mails of the default queue unless told otherwise. */
  async claim(spec: ClaimSpec = {}): Promise<HeldJob[]> {
    return (await this.trip([], spec)).held;
  }

  /** Claims exactly one job; there must be one. */
  async claimOne(spec: ClaimSpec = {}): Promise<HeldJob> {
    const held = await this.claim({ ...spec, limit: 1 });
    equal(held.length, 1, "a job can be claimed");
    return held[0]!;
  }

  /** Settles and claims in one transaction. */
  async trip(
    settle: readonly SettleGroup[],
    spec: ClaimSpec,
  ): Promise<TripOutcome & { held: HeldJob[] }> {
    const { lease = newId(), queue = DEFAULTS.queue, kinds = ["mail"], limit = 10 } = spec;
    const wants = spec.wants ?? [{ queue, kinds, limit }];
    const outcome = await this.driver.trip({
      settle,
      claim: { lease, session: this.session, wants },
    });
    const held = outcome.claimed.map((job) => ({ ...job, lease, session: this.session }));
    this.open.set(lease, new Set(held.map(name)));
    return { ...outcome, held };
  }

  /** The group that settles these runs of one lease; it closes the lease when none is left. */
  group(lease: string, settlements: readonly Settlement[]): SettleGroup {
    const open = this.open.get(lease) ?? new Set();
    for (const settled of settlements) open.delete(name(settled));
    return { lease, session: this.session, settlements, close: open.size === 0 };
  }

  /** Settles runs of one lease together, without a claim. */
  async settleAll(lease: string, settlements: readonly Settlement[]): Promise<SettleOutcome[]> {
    const settle = [this.group(lease, settlements)];
    return [...(await this.driver.trip({ settle, claim: null })).settled[0]!];
  }

  /** Settles one run with whatever was decided. */
  async settle(held: HeldJob, decision: Decision, spec: SettleSpec = {}): Promise<SettleOutcome> {
    return (await this.settleAll(held.lease, [settlement(held, decision, spec)]))[0]!;
  }

  /** Its handler returned. */
  done(held: HeldJob, spec?: SettleSpec): Promise<SettleOutcome> {
    return this.settle(held, afterSuccess(held), spec);
  }

  /** The handler threw; tried again after `delayMs`, at once when left out. */
  fail(held: HeldJob, delayMs = 0, spec?: SettleSpec): Promise<SettleOutcome> {
    return this.settle(
      held,
      afterFailure(held, () => delayMs),
      spec,
    );
  }

  /** Its handler asked for another run after `delayMs`, at once when left out. */
  snooze(held: HeldJob, delayMs = 0): Promise<SettleOutcome> {
    return this.settle(held, afterSnooze(held, delayMs));
  }

  /** Its handler said that trying again is useless. */
  abort(held: HeldJob): Promise<SettleOutcome> {
    return this.settle(held, afterAbort(held));
  }

  /** Settles one run as released: it costs nothing and keeps its place. */
  giveBack(held: HeldJob): Promise<SettleOutcome> {
    return this.settle(held, afterRelease(held));
  }

  /** Shows one run as running. */
  async start(held: HeldJob): Promise<boolean> {
    return (await this.driver.markStarted([held]))[0]!;
  }

  /** Reports for one run; whether it is still this worker's. */
  async report(
    held: HeldJob,
    { progress = null, lines = [] }: Partial<Pick<RunReport, "progress" | "lines">> = {},
  ): Promise<boolean> {
    const { job, run, lease, session } = held;
    return (await this.driver.report([{ job, run, lease, session, progress, lines }]))[0]!;
  }

  /** A line just written. */
  line(seq: number, text: string): LogLine {
    return { seq, agoMs: 0, level: "info", text };
  }

  /** Gives back whatever is unfinished in the leases of these jobs. Returns how many runs that were. */
  release(...held: readonly HeldJob[]): Promise<number> {
    return this.driver.release(this.session, [...new Set(held.map((job) => job.lease))]);
  }

  /** Beats once, believing that these runs are going on. */
  heartbeat(...running: readonly RunKey[]): Promise<HeartbeatOutcome> {
    const runs = running.map(({ job, run }) => ({ job, run }));
    return this.driver.heartbeat({ session: this.session, running: runs });
  }
}

const name = ({ job, run }: RunKey): string => `${job}/${run}`;

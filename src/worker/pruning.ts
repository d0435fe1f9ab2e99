/**
 * Forgets what has been kept for long enough: about once a minute, in small steps with pauses between them, so that claims
 * go first. Any number of workers may do it at once; mostly one of them does, by chance and without a word between them.
 */
import { DEFAULTS } from "../core/defaults.js";
import type { KeepPolicyTimes } from "../core/keep.js";
import { sleep, type Time } from "../core/time.js";
import type { Driver, PruneStep } from "../storage/driver.js";
import { REAL } from "../storage/time.js";
import type { Trouble } from "./trouble.js";

type Scan = PruneStep["scan"];

const SCANS: readonly Scan[] = ["done", "other", "own", "counts"];
/** Rows that one step looks at, at most. */
const STEP_ROWS = 500;
/** Between two steps: so many times as long as the step took, and never less than this. */
const PAUSE_SHARE = 4;
const PAUSE_MS = 20;
/** So often a scan begins anew: what a later change of times, or a restored file, has put behind it is found again. */
const AFRESH_MS = 3_600_000;

export class Pruning {
  private readonly stopping = new AbortController();
  private working: Promise<void> = Promise.resolve();
  /** Where each scan goes on. */
  private readonly after = new Map<Scan, string>();
  private afreshAt = 0;

  /** `sessions` tells how many workers there are: each does a share of the rounds. */
  constructor(
    private readonly driver: Driver,
    private readonly times: KeepPolicyTimes,
    private readonly sessions: () => number,
    private readonly trouble: Trouble,
    private readonly time: Time = REAL,
  ) {}

  /** The first round comes after a while, so that short-lived workers do nothing but their jobs. */
  start(): void {
    this.working = this.rounds().catch(() => undefined);
  }

  /** Resolves after the step that is under way. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.working;
  }

  /** Ends by the rejection of a pause. */
  private async rounds(): Promise<never> {
    await this.pause(DEFAULTS.pruneEveryMs * this.time.chance());
    for (;;) {
      if (this.time.chance() * this.sessions() < 1) await this.round();
      await this.pause(DEFAULTS.pruneEveryMs * (0.5 + this.time.chance()));
    }
  }

  private async round(): Promise<void> {
    if (this.time.now() >= this.afreshAt) {
      this.after.clear();
      this.afreshAt = this.time.now() + AFRESH_MS;
    }
    for (const scan of SCANS) while (await this.step(scan));
  }

  /** True when there is more to look at. */
  private async step(scan: Scan): Promise<boolean> {
    const begin = this.time.now();
    let more = false;
    try {
      const after = this.after.get(scan) ?? null;
      const step = { scan, keepMs: this.keepMs(scan), after, limit: STEP_ROWS };
      const outcome = await this.driver.prune(step);
      if (outcome.after !== null) this.after.set(scan, outcome.after);
      more = outcome.more;
      this.trouble.over();
    } catch (error) {
      // The next round tries again.
      this.trouble.met("pruning", error);
    }
    await this.pause(Math.max(PAUSE_MS, PAUSE_SHARE * (this.time.now() - begin)));
    return more;
  }

  private keepMs(scan: Scan): number {
    const { keepDoneMs, keepOtherMs, keepCountsMs } = this.times;
    return { done: keepDoneMs, other: keepOtherMs, own: 0, counts: keepCountsMs }[scan];
  }

  /** Rejects as soon as the worker stops. */
  private pause(ms: number): Promise<void> {
    return sleep(this.time, ms, { signal: this.stopping.signal, aside: true });
  }
}

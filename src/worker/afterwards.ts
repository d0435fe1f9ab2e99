/** Hooks that are told what became of runs: under way beside the work, but not without bound, and awaited at the end. */
import { DEFAULTS } from "../core/defaults.js";
import { inWords } from "../core/events.js";
import type { RunState } from "../core/states.js";
import { sleep, type Time } from "../core/time.js";
import type { ChildOutcome, NewJob, Settlement } from "../storage/driver.js";
import { REAL } from "../storage/time.js";
import type { Run } from "./context.js";
import { hasAfterwards, tellAfterwards, type HookFailed } from "./hooked.js";
import type { Logger } from "./options.js";
import type { Surroundings } from "./surroundings.js";

/** With so many of them under way nothing more is claimed. */
const MOST = 1_000;

export class Afterwards {
  private readonly runs = new WeakMap<Settlement, Run>();
  /** Nothing was ever remembered: nothing needs to be looked for. */
  private used = false;
  private readonly underWay = new Set<Promise<void>>();

  private readonly failed: HookFailed;

  constructor(
    private readonly logger: Logger,
    private readonly surroundings: Pick<Surroundings, "hookFailed" | "replaced"> = {},
    /** There is room again. */
    private readonly roomAgain: () => void = () => undefined,
    private readonly time: Time = REAL,
  ) {
    this.failed =
      surroundings.hookFailed ??
      ((failed) => logger.error(`qudo: ${inWords(failed)} failed: ${String(failed.error)}`));
  }

  /** One of the jobs that took the place of another is in the database, or is not. */
  replaced(child: NewJob, outcome: ChildOutcome): void {
    this.surroundings.replaced?.(child, outcome);
  }

  get full(): boolean {
    return this.underWay.size >= MOST;
  }

  /** This settlement of a run that was begun goes to the database. */
  settling(run: Run, settlement: Settlement): void {
    if (run.chain === null || !hasAfterwards(run.chain)) return;
    this.used = true;
    this.runs.set(settlement, run);
  }

  /** The database has answered: this became of it. */
  ended(settlement: Settlement, state: RunState | "lost"): void {
    if (!this.used) return;
    const run = this.runs.get(settlement);
    if (run === undefined) return;
    const told = tellAfterwards(run, settlement, state, this.failed).finally(() => {
      const { full } = this;
      this.underWay.delete(told);
      if (full && !this.full) this.roomAgain();
    });
    this.underWay.add(told);
  }

  /** Resolves when none is under way, or when it has waited long enough. */
  async settled(): Promise<void> {
    if (this.underWay.size === 0) return;
    const over = new AbortController();
    const late = sleep(this.time, DEFAULTS.abortGraceMs, over).catch(() => undefined);
    await Promise.race([Promise.all(this.underWay), late]);
    over.abort();
    const { size } = this.underWay;
    if (size > 0) this.logger.warn(`qudo: hooks after ${size} runs still go on; they are left`);
  }
}

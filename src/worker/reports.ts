/**
 * Tells the database what long runs say of themselves, and asks whether they are still ours: one call for all runs of a
 * worker, about once a second. This is how a handler learns soon that its job was cancelled elsewhere.
 */
import { DEFAULTS, LIMITS } from "../core/defaults.js";
import type { Time } from "../core/time.js";
import type { Driver } from "../storage/driver.js";
import type { Run } from "./context.js";
import type { News } from "./journal.js";
import type { Trouble } from "./trouble.js";

const NOTHING: News = { progress: null, lines: [] };

export class Reports {
  private dueAt = 0;

  constructor(
    private readonly driver: Driver,
    private readonly session: () => string,
    private readonly trouble: Trouble,
    private readonly time: Time,
  ) {}

  /** Called a few times a second. Young runs are left alone: mostly they end before there would be an answer. */
  async send(runs: Iterable<Run>): Promise<void> {
    if (this.time.now() < this.dueAt) return;
    const long = [...runs].filter(isWorthAsking);
    if (long.length === 0) return;
    this.dueAt = this.time.now() + DEFAULTS.reportMs;
    try {
      for (let i = 0; i < long.length; i += LIMITS.rowsPerStatement)
        await this.sendSome(long.slice(i, i + LIMITS.rowsPerStatement));
      this.trouble.over();
    } catch (error) {
      // Nothing is lost: it goes with the next report, or with the settlement.
      this.dueAt = this.time.now() + this.trouble.met("a report of running jobs", error);
    }
  }

  /** What this one says, at once. @throws DatabaseError: nothing is lost, it goes with the next report. */
  ask(run: Run): Promise<void> {
    return this.sendSome([run]);
  }

  private async sendSome(runs: readonly Run[]): Promise<void> {
    const session = this.session();
    const bytes = LIMITS.bytesPerStatement / runs.length;
    const news = runs.map((run) => run.journal?.news(bytes) ?? NOTHING);
    const ours = await this.driver.report(
      runs.map(({ id: job, run, lease }, i) => ({ job, run, lease, session, ...news[i]! })),
    );
    for (const [i, run] of runs.entries())
      if (ours[i] === true) run.journal?.arrived(news[i]!);
      // Settled, or completed in the handler's own transaction, since it was asked: that is no loss.
      else if (!run.decided && !run.completed) run.interrupt("lost");
  }
}

const isWorthAsking = (run: Run): boolean =>
  !run.decided && !run.completed && run.elapsedMs >= DEFAULTS.reportMs;

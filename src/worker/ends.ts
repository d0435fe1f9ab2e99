/** What became of runs, as the database has it: counted, told, and what follows from it. */
import type { RunState } from "../core/states.js";
import type {
  ClaimedJob,
  Driver,
  Replacement,
  SettleGroup,
  Settlement,
  TripOutcome,
} from "../storage/driver.js";
import type { Afterwards } from "./afterwards.js";
import type { Herald } from "./herald.js";
import { Counters, type WorkerStats } from "./stats.js";
import type { Trouble } from "./trouble.js";

/** What follows from ends. */
export interface EndsOf {
  /** Jobs may be ready to run at once. */
  madeReady(): void;
  /** One is due in so many milliseconds. */
  dueIn(ms: number): void;
}

export class Ends {
  private readonly counters = new Counters();
  private readonly asking = new Set<Promise<void>>();

  constructor(
    private readonly driver: Driver,
    private readonly herald: Herald,
    private readonly afterwards: Afterwards,
    private readonly trouble: Trouble,
    private readonly worker: EndsOf,
  ) {}

  get stats(): WorkerStats {
    return this.counters.stats;
  }

  trip(): void {
    this.counters.trip();
  }

  /** A settlement of this job goes to the database. */
  settling(settlement: Settlement, job: ClaimedJob): void {
    this.herald.settling(settlement, job);
  }

  /** The database has answered. Only now is it known what counts, and when retries are due. */
  arrived(groups: readonly SettleGroup[], { settled, replaced = [] }: TripOutcome): void {
    let ready = false;
    groups.forEach(({ settlements }, g) =>
      settlements.forEach((settlement, i) => {
        if (settled[g]?.[i] !== "accepted") this.ended(settlement, "lost");
        else if (settlement.completed === undefined) ready = this.counted(settlement) || ready;
        else this.ask(settlement);
      }),
    );
    if (replaced.length > 0) this.replaced(groups, replaced);
    if (ready || replaced.length > 0) this.worker.madeReady();
  }

  /** Jobs in the place of runs that are done: they are there now, or it is known why not. */
  private replaced(groups: readonly SettleGroup[], replaced: readonly Replacement[]): void {
    const settlements = groups.flatMap((group) => group.settlements);
    for (const { job, run, children } of replaced) {
      const asked = settlements.find((one) => one.job === job && one.run === run)!;
      children.forEach((outcome, i) => {
        const child = asked.children![i]!;
        this.herald.enqueued(child, outcome.status);
        this.afterwards.replaced(child, outcome);
      });
    }
  }

  /** They never reached the database: the session is gone, or the database. */
  lost(settlements: readonly Settlement[]): void {
    for (const settlement of settlements) this.ended(settlement, "lost");
  }

  /** Resolves when it is known what became of all that has arrived. */
  async known(): Promise<void> {
    while (this.asking.size > 0) await Promise.all(this.asking);
  }

  /** Resolves when hooks have been told of it, too, or for too long: while the session is still alive. */
  async told(): Promise<void> {
    await this.known();
    await this.afterwards.settled();
  }

  /** True when it may run again at once. */
  private counted(settlement: Settlement): boolean {
    this.ended(settlement, settlement.state);
    const { next } = settlement;
    if (next === null) return false;
    const delayMs = next === "same-place" ? 0 : next.delayMs;
    if (delayMs > 0) this.worker.dueIn(delayMs);
    return delayMs === 0;
  }

  private ended(settlement: Settlement, state: RunState | "lost"): void {
    this.counters.ended(state);
    this.herald.ended(settlement, state);
    this.afterwards.ended(settlement, state);
  }

  /** Completed by its handler in a transaction of its own: "accepted" says that it is there, or that this settlement is. */
  private ask(settlement: Settlement): void {
    const asked = this.completed(settlement).finally(() => this.asking.delete(asked));
    this.asking.add(asked);
  }

  private async completed(settlement: Settlement): Promise<void> {
    if (await this.isDone(settlement)) this.ended(settlement, "done");
    else if (this.counted(settlement)) this.worker.madeReady();
  }

  private async isDone({ job, run }: Settlement): Promise<boolean> {
    try {
      const [ending] = await this.driver.endings([job]);
      return (
        ending?.status === "ended" && ending.attempt.run === run && ending.attempt.state === "done"
      );
    } catch (error) {
      // It counts, whatever is said of it here; most transactions are not rolled back.
      this.trouble.met("looking at a completed job", error);
      return true;
    }
  }
}

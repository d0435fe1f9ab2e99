/** What the processes on the stage did with the database, read off their calls and the answers. */
import type { RunState } from "../../core/states.js";
import type { DeadSession, Driver, ReapOutcome, Trip, TripOutcome } from "../../storage/driver.js";
import type { Call, Process } from "./process.js";

/** Ends of runs: those of workers that the database accepted, and those that reapers decided. */
export interface Ends {
  readonly done: number;
  readonly failed: number;
  readonly abandoned: number;
  readonly snoozed: number;
  /** Given back by a worker that stopped, or never started. */
  readonly released: number;
  /** Of workers that died. */
  readonly crashed: number;
}

const NONE: Ends = { done: 0, failed: 0, abandoned: 0, snoozed: 0, released: 0, crashed: 0 };
const STATES = Object.keys(NONE) as (keyof Ends)[];

/** Calls after which there can be nothing more to work on than before. */
const NO_WORK: ReadonlySet<keyof Driver> = new Set<keyof Driver>([
  "audit",
  "backup",
  "close",
  "closeSession",
  "compact",
  "counts",
  "endings",
  "getJobs",
  "heartbeat",
  "identify",
  "keepAlive",
  "listAttempts",
  "listJobs",
  "listLog",
  "markStarted",
  "migrate",
  "openSession",
  "payloads",
  "ping",
  "prune",
  "report",
  "schemaVersion",
  "sessions",
  "tally",
]);

export class Ledger {
  /** Grows with everything that may have changed what there is to do. */
  changes = 0;
  ends: Ends = NONE;
  /** Kind of each job that was claimed. */
  private readonly kinds = new Map<string, string>();
  private readonly open = new Map<string, Process>();
  private readonly served = new Map<Process, Map<string, ReadonlySet<string>>>();

  /**
   * The database has answered. `completed`: jobs that their handlers have completed in transactions of their own, whatever their
   * settlements say. True when others may find work now that they did not see before.
   */
  note(
    process: Process,
    { operation, args }: Call,
    answer: unknown,
    completed: ReadonlySet<string>,
  ): boolean {
    if (operation === "openSession") this.open.set((args[0] as { id: string }).id, process);
    if (operation === "closeSession" && answer === true) this.open.delete(args[0] as string);
    if (operation === "trip")
      return this.tripped(process, args[0] as Trip, answer as TripOutcome, completed);
    if (operation === "reap")
      this.reaped(args[0] as readonly DeadSession[], answer as readonly ReapOutcome[]);
    if (NO_WORK.has(operation) || (operation === "promote" && isIdle(answer))) return false;
    this.changes++;
    return true;
  }

  kindOf(job: string): string | undefined {
    return this.kinds.get(job);
  }

  /** Whether some worker that lives has asked for this. */
  serves(queue: string, kind: string): boolean {
    return [...this.served].some(
      ([process, queues]) => this.isWorking(process) && queues.get(queue)?.has(kind),
    );
  }

  /** Sessions that the database knows, those of dead workers too. */
  get sessions(): number {
    return this.open.size;
  }

  /** Processes with a worker in them. */
  get working(): Process[] {
    return [...new Set(this.open.values())].filter(({ life }) => life !== "dead");
  }

  private isWorking(process: Process): boolean {
    return process.life !== "dead" && [...this.open.values()].includes(process);
  }

  private tripped(
    process: Process,
    { settle, claim }: Trip,
    answer: TripOutcome,
    completed: ReadonlySet<string>,
  ): boolean {
    const { claimed, settled } = answer;
    const queues = this.served.get(process) ?? new Map<string, ReadonlySet<string>>();
    for (const { queue, kinds } of claim?.wants ?? []) queues.set(queue, new Set(kinds));
    this.served.set(process, queues);
    for (const { job, kind } of claimed) this.kinds.set(job, kind);
    const accepted = settle.flatMap(({ settlements }, i) =>
      settlements.filter((_, j) => settled[i]?.[j] === "accepted"),
    );
    for (const { job, state } of accepted) this.count(completed.has(job) ? "done" : state, 1);
    if (settle.length === 0 && claimed.length === 0) return false;
    this.changes++;
    return true;
  }

  private reaped(dead: readonly DeadSession[], outcomes: readonly ReapOutcome[]): void {
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.status !== "alive") this.open.delete(dead[i]!.id);
      if (outcome.status === "reaped")
        for (const [state, n] of Object.entries(outcome.decided)) this.count(state as RunState, n);
    }
  }

  private count(state: RunState, n: number): void {
    if (state in this.ends)
      this.ends = { ...this.ends, [state]: this.ends[state as keyof Ends] + n };
  }
}

const isIdle = (answer: unknown): boolean => (answer as { moved: number }).moved === 0;

/** What has happened between two looks. */
export function endsBetween(before: Ends, after: Ends): Ends {
  return Object.fromEntries(
    STATES.map((state) => [state, after[state] - before[state]]),
  ) as unknown as Ends;
}

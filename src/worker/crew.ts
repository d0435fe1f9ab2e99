/** What one worker holds and runs: jobs start where there are places, suspects start alone, nothing is kept that stands still. */
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULTS } from "../core/defaults.js";
import { DatabaseError } from "../core/errors.js";
import type { Registry } from "../core/job.js";
import { afterRelease } from "../core/outcome.js";
import type {
  ClaimedJob,
  Driver,
  RunKey,
  Settlement,
  StoredPayload,
  Want,
} from "../storage/driver.js";
import { Run, type AbortCause, type RunOf } from "./context.js";
import { execute, givenBack, type ExecutorOf } from "./executor.js";
import { Places } from "./places.js";
import { Promptness } from "./promptness.js";
import { HeldQueue, mustRunAlone, type HeldJob, type HeldQueueOf } from "./queue.js";
import { Reports } from "./reports.js";
import { Suspects } from "./suspects.js";
import { isOut, type Trouble } from "./trouble.js";
import { Turns } from "./turns.js";

/** What a crew needs of its worker. */
export interface CrewOf extends RunOf {
  /** False as soon as it stops: nothing new is started then. */
  working(): boolean;
  mayClaim(): boolean;
  /** The places of a queue, where they are shared with other databases. */
  places(queue: string): Places | undefined;
  /** The handler of this job is about to start. */
  started(job: ClaimedJob): void;
  settle(held: HeldJob, settlement: Settlement): void;
  /** The same, of a run that was begun; before it. */
  ending(run: Run, settlement: Settlement): void;
  /** A place is free, and no held job took it without delay. */
  idle(): void;
  /** There are so many completions that they should go before more are made. */
  full(): boolean;
}

export class Crew {
  readonly queues: readonly HeldQueue[];
  private readonly runs = new Set<Run>();
  private readonly suspects: Suspects;
  private readonly turns = new Turns();
  private readonly promptness = new Promptness();
  private readonly reports: Reports;
  /** Under way: what is told to the database of runs that go on. */
  private telling: Promise<void> | null = null;
  private readonly executor: ExecutorOf = {
    fetchPayload: (run) => this.fetchPayload(run),
    started: ({ claimed }) => this.worker.started(claimed),
    settle: (run, settlement) => this.settle(run, settlement),
  };

  constructor(
    private readonly driver: Driver,
    private readonly registry: Registry,
    queues: ReadonlyMap<string, number>,
    private readonly worker: CrewOf,
    private readonly trouble: Trouble,
  ) {
    const kinds = [...registry.keys()];
    const owner = this.queueOwner();
    this.queues = Array.from(
      queues,
      ([name, total]) =>
        new HeldQueue(name, worker.places(name) ?? new Places(total), kinds, owner),
    );
    this.suspects = new Suspects(() => worker.idle());
    this.reports = new Reports(driver, () => worker.session(), trouble);
  }

  /** Runs whose handlers have not returned, decided ones too: they still take a place. */
  get running(): number {
    return this.runs.size;
  }

  get keys(): RunKey[] {
    return Array.from(this.runs, ({ claimed: { job, run } }) => ({ job, run }));
  }

  /** A suspect runs, or places are kept free for one: more jobs would only wait. */
  get blocked(): boolean {
    return this.suspects.blocking;
  }

  queue(name: string): HeldQueue {
    return this.queues.find((queue) => queue.name === name)!;
  }

  /** Lets the event loop come round. */
  turn(): Promise<void> {
    return this.turns.next();
  }

  /** A trip begins: these queues are asked for jobs. Before it, so that a wake-up during it is not forgotten. */
  asks(wants: readonly Want[]): HeldQueue[] {
    this.promptness.begin();
    return wants.map(({ queue: name, limit }) => {
      const queue = this.queue(name);
      queue.mayBeMore = false;
      queue.asking = limit;
      return queue;
    });
  }

  /** What came of it is held. `failed`: nothing is known, and there may be jobs. */
  answered(asked: readonly HeldQueue[], failed: boolean): void {
    this.promptness.end(failed);
    for (const queue of asked) {
      queue.mayBeMore ||= failed;
      queue.asking = 0;
      queue.places.answered();
    }
  }

  /** Its places are the others'. */
  leave(): void {
    for (const queue of this.queues) queue.places.leave(queue);
  }

  startHeld(): void {
    for (const queue of this.queues) while (this.startOne(queue));
    const suspect = this.suspects.next();
    if (suspect !== undefined) this.start(this.queue(suspect.job.queue), suspect);
  }

  /** False when nothing of this queue may start now. */
  private startOne(queue: HeldQueue): boolean {
    if (this.suspects.blocking) return false;
    const held = queue.next();
    if (held === undefined) return false;
    if (mustRunAlone(held)) this.suspects.add(held);
    else this.start(queue, held);
    return true;
  }

  private start(queue: HeldQueue, { job, lease }: HeldJob): void {
    const run = new Run(job, lease, this.registry.get(job.kind)!, this.worker);
    this.runs.add(run);
    queue.started();
    this.suspects.started();
    void this.runToEnd(run).finally(() => {
      queue.ended(run.elapsedMs);
      this.runs.delete(run);
      this.suspects.ended(mustRunAlone({ job, lease }));
      this.startNext(queue);
    });
  }

  /** The usual case without a turn of the pump: the next held job takes the free place. */
  private startNext(queue: HeldQueue): void {
    const went = queue.places.pass();
    if (!went || this.suspects.size > 0 || this.worker.full()) this.worker.idle();
  }

  private queueOwner(): HeldQueueOf {
    const { worker, promptness } = this;
    return {
      mayClaim: () => worker.mayClaim(),
      get prompt() {
        return promptness.prompt;
      },
      startOne: (queue) => worker.working() && this.startOne(queue),
      look: () => worker.idle(),
    };
  }

  private async runToEnd(run: Run): Promise<void> {
    // A job that may have killed its worker before is shown as running first: if it does so again, it is found out.
    const ours = run.claimed.crashes === 0 || (await this.mark([run]))[0];
    if (run.decided) return;
    if (ours) await execute(run, this.turns, this.executor);
    else this.settle(run, givenBack(run));
  }

  private settle(run: Run, settlement: Settlement): void {
    const { claimed: job, lease } = run;
    if (run.chain !== null) this.worker.ending(run, settlement);
    this.worker.settle({ job, lease }, settlement);
  }

  /** A database in passing trouble is no failure of the job. */
  private async fetchPayload(run: Run): Promise<StoredPayload | null> {
    for (;;) {
      try {
        return (await this.driver.payloads([run.id]))[0] ?? null;
      } catch (error) {
        // Its place is wanted for jobs of other databases: given back, it comes again when its own is back.
        if (isOut(error)) run.interrupt("stop");
        if (run.cause !== null || !(error instanceof DatabaseError && error.transient)) throw error;
        await sleep(this.trouble.met("reading a payload", error));
      }
    }
  }

  /** False for runs that are not ours any more: they must not start. */
  private async mark(runs: readonly Run[]): Promise<boolean[]> {
    for (const run of runs) run.marked = true;
    const session = this.worker.session();
    try {
      return await this.driver.markStarted(
        runs.map(({ claimed: { job, run }, lease }) => ({ job, run, lease, session })),
      );
    } catch {
      for (const run of runs) run.marked = false;
      return runs.map(() => false);
    }
  }

  /** Called a few times a second. */
  tick(): void {
    for (const queue of this.queues) this.giveBack(queue.dropStalled());
    this.telling ??= this.tell().finally(() => (this.telling = null));
  }

  /** First that they run, then how far they are. */
  private async tell(): Promise<void> {
    const long = [...this.runs].filter(isUnmarkedAndLong);
    if (long.length > 0) await this.mark(long);
    await this.reports.send(this.runs);
  }

  /** Resolves when nothing of it is on its way to the database. */
  async told(): Promise<void> {
    await this.telling;
  }

  /** Gives back all that has not started. */
  giveBackHeld(): void {
    this.giveBack(this.drop());
  }

  private giveBack(unstarted: readonly HeldJob[]): void {
    for (const held of unstarted) {
      const { job, run } = held.job;
      const nothing = { elapsedMs: null, result: null, error: null };
      this.worker.settle(held, { job, run, ...afterRelease(held.job), ...nothing });
    }
  }

  interruptAll(cause: AbortCause): void {
    for (const run of this.runs) run.interrupt(cause);
  }

  interrupt(runs: readonly RunKey[]): void {
    const fenced = new Set(runs.map(({ job, run }) => `${job}/${run}`));
    for (const run of this.runs)
      // One that its handler has completed in a transaction of its own is decided, but by itself.
      if (!run.decided && !run.completed && fenced.has(`${run.id}/${run.run}`))
        run.interrupt("lost");
  }

  /** Gives back what runs, and looks after it no more. */
  abandonShip(): void {
    for (const run of this.runs) {
      if (!run.decided) this.settle(run, givenBack(run));
      run.decided = true;
    }
    this.runs.clear();
  }

  /** Forgets all that has not started. */
  drop(): HeldJob[] {
    return [...this.suspects.drop(), ...this.queues.flatMap((queue) => queue.drop())];
  }
}

const isUnmarkedAndLong = (run: Run): boolean =>
  !run.marked && run.elapsedMs >= DEFAULTS.markStartedAfterMs;

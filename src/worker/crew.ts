/** What one worker holds and runs: jobs start where there are places, suspects start alone, nothing is kept that stands still. */
import { DEFAULTS } from "../core/defaults.js";
import { timerMs } from "../core/duration.js";
import { DatabaseError } from "../core/errors.js";
import type { Registry } from "../core/job.js";
import { afterRelease } from "../core/outcome.js";
import { sleep } from "../core/time.js";
import type {
  ClaimedJob,
  ClaimRequest,
  Driver,
  RunKey,
  Settlement,
  StoredPayload,
  Want,
} from "../storage/driver.js";
import { Run, type AbortCause, type RunOf } from "./context.js";
import { execute, givenBack, said } from "./executor.js";
import type { Hand, HandCrew } from "./hand.js";
import type { WorkerSettings } from "./options.js";
import { Places } from "./places.js";
import { Promptness } from "./promptness.js";
import { HeldQueue, type HeldJob, type HeldQueueOf } from "./queue.js";
import { Reports } from "./reports.js";
import type { Shift } from "./shift.js";
import { NoSuspects, Suspects } from "./suspects.js";
import { isOut, type Trouble } from "./trouble.js";
import { Turns } from "./turns.js";

/** What a crew needs of its worker. */
export interface CrewOf extends Omit<RunOf, "said" | "quit"> {
  /** Jobs are handed out, instead of run. */
  readonly hand?: Hand;
  /** How many runs may still be started. */
  readonly shift: Shift;
  /** False as soon as it stops: nothing new is started then. */
  working(): boolean;
  mayClaim(): boolean;
  /** It is about to begin. */
  opening(): boolean;
  /** The places of a queue, where they are shared with other databases. */
  places(queue: string): Places | undefined;
  /** The handler of this job is about to start. */
  started(job: ClaimedJob): void;
  settle(held: HeldJob, settlement: Settlement): void;
  /** The same, of a run that was begun; before it. */
  ending(run: Run, settlement: Settlement): void;
  /** A run has failed by itself. */
  died(error: unknown, run: Run): void;
  /** A place is free, and no held job took it without delay. */
  idle(): void;
  /** There are so many completions that they should go before more are made. */
  full(): boolean;
}

export class Crew {
  readonly queues: readonly HeldQueue[];
  private readonly runs = new Set<Run>();
  private readonly suspects: Suspects;
  private readonly turns: Turns;
  private readonly promptness: Promptness;
  private readonly reports: Reports;
  /** Under way: what is told to the database of runs that go on. */
  private telling: Promise<void> | null = null;
  private readonly executor: HandCrew = {
    fetchPayload: (run) => this.fetchPayload(run),
    started: ({ claimed }) => this.worker.started(claimed),
    settle: (run, settlement) => this.settle(run, settlement),
    died: (run, error) => this.worker.died(error, run),
    mark: async (run) => (await this.markAll([run]))[0]!,
    ask: (run) => this.reports.ask(run),
  };
  private readonly runOwner: RunOf;
  /** How often not all queues could be asked. */
  private asked = 0;

  constructor(
    private readonly driver: Driver,
    private readonly registry: Registry,
    private readonly settings: Pick<WorkerSettings, "queues" | "batch" | "throttle">,
    private readonly worker: CrewOf,
    private readonly trouble: Trouble,
  ) {
    const { queues, batch } = settings;
    const { hand, time } = worker;
    this.turns = new Turns(time);
    this.promptness = new Promptness(time);
    const kinds = hand === undefined ? [...registry.keys()] : hand.kinds;
    const owner = this.queueOwner();
    this.queues = Array.from(queues, ([name, total]) => {
      const places = hand?.places ?? worker.places(name) ?? new Places(total, time, batch);
      return new HeldQueue(name, places, kinds, owner);
    });
    this.runOwner = {
      ...worker,
      said: (run, word) => said(run, word, this.executor),
      quit: () => worker.shift.finish(),
    };
    this.suspects = new (hand === undefined ? Suspects : NoSuspects)(() => worker.idle(), time);
    this.reports = new Reports(driver, () => worker.session(), trouble, time);
  }

  /** Runs whose handlers have not returned, decided ones too: they still take a place. */
  get running(): number {
    return this.runs.size;
  }

  get keys(): RunKey[] {
    return Array.from(this.runs, ({ claimed: { job, run } }) => ({ job, run }));
  }

  /** A suspect runs, or places are kept free for one, or enough are held: more jobs would only wait. */
  get blocked(): boolean {
    return this.suspects.blocking || this.left <= 0;
  }

  /** Jobs that may be asked for: those that may be started, without those that are held. */
  private get left(): number {
    const { left } = this.worker.shift;
    if (left === Infinity) return left;
    return this.queues.reduce((rest, { held }) => rest - held, left - this.suspects.size);
  }

  /** What it asks for: in each queue as many as there is room for, and in all no more than may still be started. */
  wants(): Want[] {
    let { left } = this;
    const wants: Want[] = [];
    for (const queue of left === Infinity ? this.queues : this.inTurn()) {
      const want = queue.want();
      const limit = Math.min(want.limit, left);
      left -= Math.max(0, limit);
      if (limit > 0) wants.push({ ...want, limit });
    }
    return wants;
  }

  /** Where not all can be asked: those first that may have jobs, and of these another one each time, so that none stands before the others for ever. */
  private inTurn(): HeldQueue[] {
    const at = this.asked++ % this.queues.length;
    const queues = [...this.queues.slice(at), ...this.queues.slice(0, at)];
    return queues.toSorted((a, b) => Number(b.mayBeMore) - Number(a.mayBeMore));
  }

  /** What a claim has brought. */
  hold(claim: ClaimRequest, claimed: readonly ClaimedJob[], more: boolean): void {
    for (const { queue: name, limit } of claim.wants) {
      const queue = this.queue(name);
      const jobs = claimed.filter((job) => job.queue === name);
      for (const job of jobs) queue.hold({ job, lease: claim.lease });
      if (more || jobs.length >= limit) queue.mayBeMore = true;
    }
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
    const suspect = this.mayStart ? this.suspects.next() : undefined;
    if (suspect !== undefined) this.start(this.queue(suspect.job.queue), suspect);
  }

  /** False when nothing of this queue may start now. */
  private startOne(queue: HeldQueue): boolean {
    if (this.suspects.blocking || !this.mayStart) return false;
    const held = queue.next();
    if (held === undefined) return false;
    if (this.suspects.concerns(held)) this.suspects.add(held);
    else this.start(queue, held);
    return true;
  }

  /** Of those that it was asked to run some are left. */
  private get mayStart(): boolean {
    return this.worker.shift.left > 0;
  }

  private start(queue: HeldQueue, held: HeldJob): void {
    const { job, lease } = held;
    const run = new Run(job, lease, this.registry.get(job.kind)!, this.runOwner);
    this.runs.add(run);
    queue.started();
    this.suspects.started();
    this.worker.shift.took();
    void this.runToEnd(run).finally(() => {
      this.runs.delete(run);
      if (this.settings.throttle === 1) queue.ended(run.elapsedMs);
      else this.rest(queue, run.elapsedMs);
      this.suspects.ended(this.suspects.concerns(held));
      this.worker.shift.ended(run.outcome !== null && run.outcome !== "released");
      this.startNext(queue);
    });
  }

  /** Its place is taken for as long as it may not be busy. */
  private rest(queue: HeldQueue, busyMs: number): void {
    const wholeMs = busyMs / this.settings.throttle;
    const rested = (): void => {
      queue.ended(wholeMs);
      this.startNext(queue);
    };
    this.worker.time.aside(rested, timerMs(wholeMs - busyMs));
  }

  /** The usual case without a turn of the pump: the next held job takes the free place. */
  private startNext(queue: HeldQueue): void {
    const went = queue.places.pass();
    if (!went || this.suspects.size > 0 || this.worker.full()) this.worker.idle();
  }

  private queueOwner(): HeldQueueOf {
    const { worker, promptness } = this;
    return {
      time: worker.time,
      mayClaim: () => worker.mayClaim(),
      opening: () => worker.opening(),
      get prompt() {
        return promptness.prompt;
      },
      startOne: (queue) => worker.working() && this.startOne(queue),
      look: () => worker.idle(),
    };
  }

  private async runToEnd(run: Run): Promise<void> {
    const { hand } = this.worker;
    if (hand !== undefined) return hand.take(run, this.executor);
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
        await sleep(run.time, this.trouble.met("reading a payload", error));
      }
    }
  }

  /** False for runs that are not ours any more: they must not start. */
  private async mark(runs: readonly Run[]): Promise<boolean[]> {
    for (const run of runs) run.marked = true;
    try {
      return await this.markAll(runs);
    } catch {
      for (const run of runs) run.marked = false;
      return runs.map(() => false);
    }
  }

  private markAll(runs: readonly Run[]): Promise<boolean[]> {
    const session = this.worker.session();
    return this.driver.markStarted(
      runs.map(({ claimed: { job, run }, lease }) => ({ job, run, lease, session })),
    );
  }

  /** Called a few times a second. */
  tick(): void {
    for (const queue of this.queues) this.giveBack(queue.dropStalled());
    this.telling ??= this.tell().finally(() => (this.telling = null));
  }

  /** First that they run, then how far they are. */
  private async tell(): Promise<void> {
    // What is handed out runs when its owner says so.
    const long = this.worker.hand ? [] : [...this.runs].filter(isUnmarkedAndLong);
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

  /** Others may have taken everything. */
  overdue(): void {
    this.interruptAll("lost");
    this.giveBackHeld();
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
      run.outcome ??= "released";
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

/** What every stage has: one database, processes that wake each other, what they did with it, and the points at which they die. */
import type { AnyJobDefinition, JobContext } from "../../core/job.js";
import type { Driver, Settlement, Trip, TripOutcome } from "../../storage/driver.js";
import { Handlers } from "./handlers.js";
import { Ledger } from "./ledger.js";
import { never } from "./never.js";
import type { Call, Process, Stage } from "./process.js";
import type { Timeline } from "./timeline.js";

export abstract class CommonStage implements Stage {
  readonly ledger = new Ledger();
  readonly handlers = new Handlers();
  private shared: Driver | null = null;
  private readonly listeners = new Map<() => void, Process>();

  constructor(
    readonly timeline: Timeline,
    readonly chance: () => number,
  ) {}

  /** As it is, with nobody between. Known once a process has opened it. */
  get database(): Driver {
    return this.shared!;
  }

  share(opened: Driver): Driver {
    this.shared ??= opened;
    if (opened !== this.shared) void opened.close();
    return this.shared;
  }

  abstract soon(process: Process, then: () => void): void;
  abstract call<T>(process: Process, call: Call, perform: () => Promise<T>): Promise<T>;

  listen(process: Process, onChange: () => void): () => void {
    const listener = (): void => onChange();
    this.listeners.set(listener, process);
    return () => void this.listeners.delete(listener);
  }

  async handle(
    process: Process,
    definition: AnyJobDefinition,
    payload: unknown,
    job: JobContext,
  ): Promise<unknown> {
    const { kind } = definition;
    if (process.life === "dead" || process.meets("start", [kind])) return never();
    const ran = this.handlers.run(process, kind, () => definition.run(payload, job) as unknown);
    await Promise.allSettled([ran]);
    return process.meets("handler", [kind]) ? never() : process.hears(ran);
  }

  /** The database has done it; the process has not heard so yet. */
  protected async done(process: Process, call: Call, answer: unknown): Promise<void> {
    const settle = call.operation === "trip" ? (call.args[0] as Trip).settle : [];
    const completed = await this.completed(settle.flatMap(({ settlements }) => settlements));
    if (this.ledger.note(process, call, answer, completed)) this.wakeOthers(process);
    if (call.operation !== "trip") return;
    const kindsOf = (jobs: readonly { job: string }[]): string[] =>
      jobs.map(({ job }) => this.ledger.kindOf(job) ?? "");
    process.meets("claim", kindsOf((answer as TripOutcome).claimed));
    process.meets("settle", kindsOf(settle.flatMap(({ settlements }) => settlements)));
  }

  /** Those of them that are done because their handlers have completed them in transactions of their own. */
  private async completed(settlements: readonly Settlement[]): Promise<ReadonlySet<string>> {
    const ids = settlements.filter(({ completed }) => completed).map(({ job }) => job);
    const done = new Set<string>();
    if (ids.length === 0) return done;
    for (const [i, ending] of (await this.database.endings(ids)).entries())
      if (ending.status === "ended" && ending.attempt.state === "done") done.add(ids[i]!);
    return done;
  }

  /** Whoever looks at nothing but the database learns of what stands in it. */
  wakeAll(): void {
    for (const [onChange, process] of this.listeners) this.soon(process, onChange);
  }

  private wakeOthers(process: Process): void {
    for (const [onChange, other] of this.listeners)
      if (other !== process) this.soon(other, onChange);
  }
}

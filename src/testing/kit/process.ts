/**
 * A process on the stage: what one process has of the world, given to a Qudo. It can be frozen and can die, at any moment, as a real
 * one by SIGSTOP and SIGKILL: a dead one hears no answer and no timer any more, and what it held is found by others.
 */
import type { AnyJobDefinition, JobContext } from "../../core/job.js";
import type { Cancel, Time } from "../../core/time.js";
import type { Driver } from "../../storage/driver.js";
import type { World } from "../../storage/world.js";
import { never } from "./never.js";
import type { Owner, Timeline } from "./timeline.js";

/** What processes stand on: who says when something happens. */
export interface Stage {
  readonly timeline: Timeline;
  /** The database that all processes share: the first one that any of them opened. */
  share(opened: Driver): Driver;
  chance(): number;
  /** In the next turn of this process's event loop. */
  soon(process: Process, then: () => void): void;
  /** A call to the database. */
  call<T>(process: Process, call: Call, perform: () => Promise<T>): Promise<T>;
  /** Wakes this process when another one has written what may be worked on. */
  listen(process: Process, onChange: () => void): () => void;
  /** A handler that a worker of this process has called. */
  handle(
    process: Process,
    definition: AnyJobDefinition,
    payload: unknown,
    job: JobContext,
  ): Promise<unknown>;
}

/** One call to the database, as it was made. */
export interface Call {
  readonly operation: keyof Driver;
  readonly args: readonly unknown[];
}

/** Where in a job's way a worker dies. */
export interface CrashPoint {
  /**
   * "claim": jobs are in its lease, and it never heard so. "start": its handler was about to be called. "handler": its handler has
   * returned, or thrown, and nobody was told. "settle": the outcome is in the database, and it never heard so.
   */
  readonly after: "claim" | "start" | "handler" | "settle";
  /** Only at a job of this kind. Default: at the first of any. */
  readonly job?: AnyJobDefinition;
}

export class Process implements Owner {
  life: Owner["life"] = "alive";
  /** Where it will die. */
  doom: CrashPoint | null = null;
  /** Resolves when it dies. */
  readonly died: Promise<void>;
  readonly world: World;
  private readonly tellDied: () => void;
  /** What would have happened in it while it was frozen. */
  private held: (() => void)[] = [];

  constructor(
    readonly name: string,
    private readonly stage: Stage,
  ) {
    let told!: () => void;
    this.died = new Promise((resolve) => (told = resolve));
    this.tellDied = told;
    this.world = {
      time: this.time(),
      wrap: (driver) => this.view(stage.share(driver)),
      wrapJob: (definition) => ({
        ...definition,
        run: (payload: unknown, job: JobContext) => stage.handle(this, definition, payload, job),
      }),
    };
  }

  freeze(): void {
    if (this.life === "alive") this.life = "frozen";
  }

  thaw(): void {
    if (this.life !== "frozen") return;
    this.life = "alive";
    for (const then of this.held.splice(0)) this.live(then);
  }

  die(): void {
    if (this.life === "dead") return;
    this.life = "dead";
    this.held = [];
    this.stage.timeline.forget(this);
    this.tellDied();
  }

  /** It is at this point with jobs of these kinds. True when it dies there. */
  meets(point: CrashPoint["after"], kinds: readonly string[]): boolean {
    const { doom } = this;
    if (doom?.after !== point || this.life === "dead") return false;
    if (doom.job === undefined ? kinds.length === 0 : !kinds.includes(doom.job.kind)) return false;
    this.die();
    return true;
  }

  /** Something happens in it: now, when it is thawed, or never. */
  live(then: () => void): void {
    if (this.life === "alive") then();
    else if (this.life === "frozen") this.held.push(then);
  }

  /** What comes from outside. */
  hears<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => this.live(() => resolve(value)),
        (error: unknown) => this.live(() => reject(error)),
      );
    });
  }

  private time(): Time {
    const { stage } = this;
    const { timeline } = stage;
    const set =
      (aside: boolean) =>
      (then: () => void, ms: number): Cancel => {
        if (this.life === "dead") return () => undefined;
        return timeline.set(this, () => this.live(then), ms, aside);
      };
    return {
      now: () => timeline.now,
      wall: () => timeline.clock(),
      chance: () => stage.chance(),
      soon: (then) => stage.soon(this, () => this.live(then)),
      later: set(false),
      aside: set(true),
    };
  }

  /** The database as this process sees it. */
  private view(shared: Driver): Driver {
    const handler: ProxyHandler<Driver> = {
      get: (target, name: keyof Driver) => {
        if (name === "subscribe") return (then: () => void) => this.stage.listen(this, then);
        // It is the others' database too.
        if (name === "close") return () => Promise.resolve();
        const own = Reflect.get(target, name) as unknown;
        if (typeof own !== "function") return own;
        return (...args: unknown[]) => this.ask({ operation: name, args }, target);
      },
    };
    return new Proxy(shared, handler);
  }

  private ask(call: Call, driver: Driver): Promise<unknown> {
    if (this.life === "dead") return never();
    const operation = driver[call.operation] as (...args: readonly unknown[]) => Promise<unknown>;
    const perform = (): Promise<unknown> => Reflect.apply(operation, driver, call.args);
    return this.hears(this.stage.call(this, call, perform));
  }
}

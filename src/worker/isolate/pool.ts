/**
 * The threads and processes in which the handlers of one worker run that are kept apart: as many as jobs run in them, each with
 * one job at a time, kept for a while when they have none.
 */
import { DEFAULTS } from "../../core/defaults.js";
import { QudoError } from "../../core/errors.js";
import type { Isolation } from "../../core/isolation.js";
import type { AnyJobDefinition, JobContext, Registry } from "../../core/job.js";
import { Remote } from "./remote.js";

/** What may be in one host: one module's handlers, in a thread or in a process. */
class Pool {
  private readonly all = new Set<Remote>();
  /** The one that was used last comes last, and is taken first. */
  private idle: Remote[] = [];
  private readonly tooLong = new Map<Remote, NodeJS.Timeout>();

  constructor(
    private readonly isolation: Isolation,
    private readonly module: string,
  ) {}

  /** One is made ready. @throws QudoError QUDO_ISOLATE_FAILED where these kinds are not in it. */
  async prove(kinds: readonly string[]): Promise<void> {
    const remote = this.take();
    const found = await remote.kinds;
    const missing = kinds.find((kind) => !found.has(kind));
    if (missing === undefined) return this.giveBack(remote);
    remote.kill();
    throw new QudoError(
      "QUDO_ISOLATE_FAILED",
      `${this.module} does not export "${missing}". Export what defineJob returns, or correct its module: import.meta.url.`,
    );
  }

  async run(payload: unknown, job: JobContext): Promise<unknown> {
    const remote = this.take();
    try {
      return await remote.run(payload, job);
    } finally {
      this.giveBack(remote);
    }
  }

  close(): void {
    for (const remote of this.all)
      if (this.idle.includes(remote)) remote.end();
      else remote.kill();
    for (const timer of this.tooLong.values()) clearTimeout(timer);
    this.idle = [];
  }

  private take(): Remote {
    const remote = this.idle.pop() ?? this.open();
    clearTimeout(this.tooLong.get(remote));
    this.tooLong.delete(remote);
    return remote;
  }

  private open(): Remote {
    const remote = new Remote(this.isolation, this.module, (over) => this.forget(over));
    this.all.add(remote);
    return remote;
  }

  private giveBack(remote: Remote): void {
    if (remote.over) return;
    this.idle.push(remote);
    const timer = setTimeout(() => {
      remote.end();
      this.forget(remote);
    }, DEFAULTS.isolateIdleMs);
    this.tooLong.set(remote, timer.unref());
  }

  private forget(remote: Remote): void {
    this.all.delete(remote);
    this.idle = this.idle.filter((other) => other !== remote);
    clearTimeout(this.tooLong.get(remote));
    this.tooLong.delete(remote);
  }
}

/** The handlers of one worker, some of which run apart. */
export interface Isolated {
  /** What the worker runs: handlers that are kept apart are asked for where they are. */
  readonly registry: Registry;
  /** Ends what is left of the threads and processes. */
  close(): void;
}

/**
 * Makes threads and processes ready for the kinds that ask for them, and, with `usual`, for all others too. Without any it is the
 * same registry, and costs nothing.
 * @throws QudoError QUDO_ISOLATE_FAILED when their modules cannot be used there.
 */
export async function isolate(jobs: Registry, usual: Isolation | null): Promise<Isolated> {
  const apart = [...jobs.values()].filter((job) => whereOf(job, usual) !== null);
  if (apart.length === 0) return { registry: jobs, close: () => undefined };
  const pools = new Map<string, Pool>();
  const poolOf = (job: AnyJobDefinition): Pool => {
    const where = whereOf(job, usual)!;
    const key = `${where} ${moduleOf(job)}`;
    const pool = pools.get(key) ?? new Pool(where, moduleOf(job));
    pools.set(key, pool);
    return pool;
  };
  const close = (): void => pools.forEach((pool) => pool.close());
  const registry = new Map(jobs);
  const kinds = new Map<Pool, string[]>();
  for (const job of apart) {
    const pool = poolOf(job);
    kinds.set(pool, [...(kinds.get(pool) ?? []), job.kind]);
    // Its schema is asked where its handler runs.
    const run = (payload: unknown, context: JobContext): unknown => pool.run(payload, context);
    registry.set(job.kind, { ...job, schema: null, run });
  }
  try {
    await Promise.all(Array.from(kinds, ([pool, names]) => pool.prove(names)));
  } catch (error) {
    close();
    throw error;
  }
  return { registry, close };
}

const whereOf = (job: AnyJobDefinition, usual: Isolation | null): Isolation | null =>
  job.isolate ?? usual;

function moduleOf({ kind, module }: AnyJobDefinition): string {
  if (module) return module;
  throw new QudoError(
    "QUDO_ISOLATE_FAILED",
    `"${kind}" is to run in a thread or process of its own, which has to load it: add module: import.meta.url to its definition, in a module that exports it and starts nothing.`,
  );
}

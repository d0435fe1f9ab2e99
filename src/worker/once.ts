/**
 * One job, if there is one: a worker that claims once. Of several databases one after the other is asked, in an order of chance, until one
 * had a job; one that is out costs nobody a job of the others.
 */
import type { Time } from "../core/time.js";
import type { Driver, Part } from "../storage/driver.js";
import { REAL } from "../storage/time.js";
import { givesJobs } from "./fleet-worker.js";
import type { Logger, WorkerOptions, WorkerSettings } from "./options.js";
import { Places } from "./places.js";
import type { RunningWorker } from "./running.js";
import { Shift } from "./shift.js";
import type { PartSurroundings, Surroundings } from "./surroundings.js";
import { Worker } from "./worker.js";

/** What `qudo.workOnce()` takes: what a worker takes, without what has no meaning for a single job. */
export type WorkOnceOptions = Omit<
  WorkerOptions,
  "concurrency" | "batch" | "sleep" | "idleTimeout" | "maxJobs" | "prune"
>;

/** What it is given by whoever starts it. */
export interface OnceOf {
  /** Asked for before each worker; throws when none may begin any more. */
  surroundings(database?: string): Surroundings;
  /** A worker has begun. */
  begins(worker: RunningWorker): void;
}

/**
 * True when a job was run, however it ended.
 * @throws the error of the database when it could not be asked; of several, when none of them could.
 */
export async function workOnce(
  driver: Driver,
  settings: WorkerSettings,
  of: OnceOf,
): Promise<boolean> {
  const { parts } = driver;
  if (parts === undefined) return workOn(driver, settings, of.surroundings(), of);
  const errors: unknown[] = [];
  const { chance } = of.surroundings().time ?? REAL;
  for (const part of shuffled(parts, chance))
    try {
      if (await workOnPart(part, settings, of)) return true;
    } catch (error) {
      errors.push(error);
    }
  if (errors.length < parts.length) return false;
  throw errors[0];
}

async function workOnPart(part: Part, settings: WorkerSettings, of: OnceOf): Promise<boolean> {
  const surroundings = of.surroundings(part.name);
  const { time = REAL } = surroundings;
  return workOn(
    part.driver,
    settings,
    { ...surroundings, part: partly(part, settings, time) },
    of,
    part,
  );
}

async function workOn(
  driver: Driver,
  settings: WorkerSettings,
  surroundings: Surroundings,
  of: OnceOf,
  part?: Part,
): Promise<boolean> {
  const { time = REAL } = surroundings;
  const shift = new Shift({ maxJobs: 1, idleMs: null }, () => void worker.quit(), time);
  const leave = (): void => shift.finish();
  const gives = (): boolean => part === undefined || givesJobs(part.status());
  const look = new OneLook(driver, settings.queues.size, gives, leave);
  // One that goes out meanwhile, or is set to give nothing, has no job for anybody.
  const unwatch = part?.watch((status) => givesJobs(status) || leave());
  const logger = quietUntil(() => shift.left === 0, settings.logger);
  const worker: Worker = new Worker(
    look.driver,
    settings.abilities,
    { ...settings, logger },
    { ...surroundings, shift },
  );
  of.begins(worker);
  await worker.stopped.finally(unwatch);
  if (look.error !== null && shift.worked === 0) throw look.error;
  return shift.worked > 0;
}

/** Stands between a worker and its database: a look that found nothing in any queue, or failed, is the last one. */
class OneLook {
  error: unknown = null;
  readonly driver: Driver;
  /** Queues in which there was nothing. For one job they are asked one after the other. */
  private readonly empty = new Set<string>();

  /** `gives`: whether jobs may be had of it at all. `over`: nothing more is looked for. */
  constructor(
    real: Driver,
    queues: number,
    gives: () => boolean,
    private readonly over: () => void,
  ) {
    const between: Pick<Driver, "openSession" | "trip"> = {
      openSession: async (session) => {
        await this.passed(real.openSession(session));
        if (!gives()) this.over();
      },
      trip: async (trip) => {
        const outcome = await (trip.claim === null
          ? real.trip(trip)
          : this.passed(real.trip(trip)));
        if (outcome.claimed.length > 0 || outcome.more) this.empty.clear();
        else for (const { queue } of trip.claim?.wants ?? []) this.empty.add(queue);
        if (this.empty.size === queues) this.over();
        return outcome;
      },
    };
    this.driver = new Proxy(real, {
      get: (_, name) => {
        const own = Reflect.get(name in between ? between : real, name) as unknown;
        return typeof own === "function" ? (own.bind(real) as unknown) : own;
      },
    });
  }

  private async passed<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      this.error = error;
      this.over();
      throw error;
    }
  }
}

/** What it must know as the worker of one of several databases. There are no others with whom it would share its place. */
function partly(part: Part, { queues, batch }: WorkerSettings, time: Time): PartSurroundings {
  return {
    name: part.name,
    places: (queue) => new Places(queues.get(queue)!, time, batch),
    givesJobs: () => givesJobs(part.status()),
    isOut: () => part.status().state !== "healthy",
  };
}

/** What is not tried again is no news for the log: it is told by what is thrown. */
function quietUntil(working: () => boolean, logger: Logger): Logger {
  const says =
    (level: keyof Logger) =>
    (message: string): void =>
      logger[working() ? level : "debug"](message);
  return { debug: says("debug"), info: says("info"), warn: says("warn"), error: says("error") };
}

function shuffled<T>(all: readonly T[], chance: () => number): T[] {
  const drawn = Array.from(all, (one) => ({ one, lot: chance() }));
  return drawn.toSorted((a, b) => a.lot - b.lot).map(({ one }) => one);
}

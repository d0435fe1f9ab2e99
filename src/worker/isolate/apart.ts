/** The handlers of one Qudo's workers that run apart from them, and the threads and processes in which they do. */
import { pathToFileURL } from "node:url";
import { QudoError } from "../../core/errors.js";
import type { Isolation } from "../../core/isolation.js";
import type { AnyJobDefinition, JobContext, Registry } from "../../core/job.js";
import type { WorkerSettings } from "../options.js";
import { isIsolated } from "./inside.js";
import { Pool } from "./pool.js";

export class Apart {
  private readonly pools = new Map<string, Pool>();

  /** `jobs`: all that its Qudo knows, for handlers that ask for jobs in the place of theirs. */
  constructor(private readonly jobs: Registry) {}

  /**
   * The settings of a worker for which handlers that run apart are asked for where they are; the same ones where none does. Threads and
   * processes are made ready first, so that a module that cannot be used there is found out before any job is taken.
   * @throws QudoError QUDO_ISOLATE_FAILED.
   */
  async served(settings: WorkerSettings): Promise<WorkerSettings> {
    if (isIsolated()) throw startsWorker();
    const { abilities, isolate: usual } = settings;
    const kinds = new Map<Pool, string[]>();
    const served = new Map(abilities);
    for (const job of abilities.values()) {
      const where = job.isolate ?? usual;
      if (where === null) continue;
      const pool = this.pool(where, moduleOf(job));
      kinds.set(pool, [...(kinds.get(pool) ?? []), job.kind]);
      served.set(job.kind, runBy(pool, job));
    }
    if (kinds.size === 0) return settings;
    await Promise.all(Array.from(kinds, ([pool, names]) => pool.prove(names)));
    return { ...settings, abilities: served };
  }

  close(): void {
    for (const pool of this.pools.values()) pool.close();
    this.pools.clear();
  }

  private pool(where: Isolation, module: string): Pool {
    const key = `${where} ${module}`;
    const pool = this.pools.get(key) ?? new Pool(where, module, this.jobs);
    this.pools.set(key, pool);
    return pool;
  }
}

/** Its schema is asked where its handler runs: a check can block, too. */
function runBy(pool: Pool, job: AnyJobDefinition): AnyJobDefinition {
  const run = (payload: unknown, context: JobContext): unknown => pool.run(payload, context);
  return { ...job, schema: null, run };
}

function moduleOf({ kind, module }: AnyJobDefinition): string {
  if (module) return /^(?:file|data):/i.test(module) ? module : pathToFileURL(module).href;
  throw new QudoError(
    "QUDO_ISOLATE_FAILED",
    `"${kind}" is to run in a thread or process of its own, which has to load it: add module: import.meta.url to its definition, in a module that exports it and starts nothing.`,
  );
}

function startsWorker(): QudoError {
  return new QudoError(
    "QUDO_ISOLATE_FAILED",
    "This module is loaded in a thread or process for handlers, and starts a worker: keep job definitions in a module that starts nothing.",
  );
}

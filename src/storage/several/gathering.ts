/**
 * Jobs on their way into one of several databases. They gather here, and not before the choice of a database: one that stands still
 * holds up its own only.
 */
import { Batcher } from "../../core/batcher.js";
import { LIMITS } from "../../core/defaults.js";
import { packedBytes } from "../../core/serializer.js";
import type { InsertOutcome, NewJob } from "../driver.js";
import type { Surroundings } from "./surroundings.js";

/** What has been under way for so long stands still, as far as new jobs are concerned. */
export const STALL_MS = 1_000;

/** A job that has not left within its time: it is not in this database, and will not be. */
export class TakenBack extends Error {}

/** `again`: whether they are there is not known, and they go there also while the database is out. */
export type Send = (jobs: NewJob[], again: boolean) => Promise<InsertOutcome[]>;

type Jobs = Batcher<NewJob, InsertOutcome>;

const LIMITS_OF_BATCH = {
  items: LIMITS.rowsPerStatement,
  bytes: LIMITS.bytesPerStatement,
  sizeOf: (job: NewJob) => packedBytes(job.payload),
};

export class Gathering {
  private readonly plain: Jobs;
  /** Apart, because they wait for whoever holds their keys: a transaction of the user's, perhaps, that stays open. */
  private readonly unique: Jobs;
  private readonly again: Jobs;
  /** Since when a batch is on its way. */
  private readonly underway = new Map<Jobs, number>();

  constructor(
    private readonly send: Send,
    private readonly surroundings: Surroundings,
  ) {
    this.plain = this.batcher(false);
    this.unique = this.batcher(false);
    this.again = this.batcher(true);
  }

  /** @throws TakenBack when it has waited for `waitMs` behind one batch that is on its way. */
  add(job: NewJob, waitMs: number): Promise<InsertOutcome> {
    return this.batcherFor(job).add(job, waitMs);
  }

  /** Those with keys go each alone: one that waits for its key makes a doubtful case of no other. */
  async addAgain(job: NewJob): Promise<InsertOutcome> {
    return job.uniqueKey === null ? this.again.add(job) : (await this.send([job], true))[0]!;
  }

  /** For how long that has been under way behind which this would wait; 0 where there is nothing. */
  underwayMs(job: NewJob): number {
    const since = this.underway.get(this.batcherFor(job));
    return since === undefined ? 0 : this.surroundings.now() - since;
  }

  private batcher(again: boolean): Jobs {
    const send = async (jobs: NewJob[]): Promise<InsertOutcome[]> => {
      this.underway.set(made, this.surroundings.now());
      try {
        return await this.send(jobs, again);
      } finally {
        this.underway.delete(made);
      }
    };
    const { surroundings } = this;
    const made: Jobs = new Batcher(send, LIMITS_OF_BATCH, surroundings, {
      now: () => surroundings.now(),
      later: (then, ms) => surroundings.later(then, ms),
      ended: () => new TakenBack("did not get to it in time"),
    });
    return made;
  }

  private batcherFor({ uniqueKey }: NewJob): Jobs {
    return uniqueKey === null ? this.plain : this.unique;
  }
}

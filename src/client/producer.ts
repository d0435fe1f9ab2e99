/** Enqueueing: checks everything before anything is written, then lets calls share commits. */
import { CODEC_JSON, decode, encodePayload } from "../core/codec.js";
import { LIMITS } from "../core/defaults.js";
import { durationMs, type Duration } from "../core/duration.js";
import { InvalidInputError, QudoError } from "../core/errors.js";
import type { AnyJobDefinition, JobDefinition } from "../core/job.js";
import { keepTimes, type Keep } from "../core/keep.js";
import {
  checkDate,
  checkMaxAttempts,
  checkName,
  checkOptions,
  checkPriority,
  show,
} from "../core/options.js";
import { validate } from "../core/schema.js";
import type { Driver, InsertOutcome, NewJob } from "../storage/driver.js";
import { newId } from "../storage/ids.js";
import { Batcher } from "./batcher.js";
import { Enqueued } from "./enqueued.js";
import { checkId } from "./info.js";
import type { Results } from "./results.js";

/** What can be said of one job when it is enqueued; the rest comes from its kind. */
export interface EnqueueOptions {
  /** Enqueueing the same id again changes nothing, whatever became of the job. {@link idFromName} makes one from a name. Default: new. */
  id?: string;
  /** Runs at the earliest so long from now. Default 0. */
  delay?: Duration;
  /** Runs at the earliest at this moment (the database's clock); instead of `delay`. */
  runAt?: Date;
  /** Not started after this moment: it is abandoned with the reason "expired". */
  expiresAt?: Date;
  /** Higher runs first. Default: the kind's. */
  priority?: number;
  /** Default: the kind's. */
  queue?: string;
  /** −1 for ever. Default: the kind's. */
  maxAttempts?: number;
  /** At most one unfinished job of this kind has this key. */
  uniqueKey?: string;
  /** How long it is kept after its end, and shown. Default: the kind's; what is left out, too. */
  keep?: Duration | Keep;
}

const KNOWN = [
  "id",
  "delay",
  "runAt",
  "expiresAt",
  "priority",
  "queue",
  "maxAttempts",
  "uniqueKey",
  "keep",
] as const satisfies readonly (keyof EnqueueOptions)[];

/** What {@link Producer.enqueueMany} takes: definition, payload, options. */
export type Order<Input> = readonly [
  // oxlint-disable-next-line typescript/no-explicit-any -- any payload type and result will do for enqueueing
  job: JobDefinition<Input, any, any>,
  // The type comes from the job alone: inferred from both, it would be whatever suits both, and nothing would be checked.
  payload: NoInfer<Input>,
  options?: EnqueueOptions,
];

export class Producer {
  private readonly batcher: Batcher<NewJob, InsertOutcome>;
  /** Calls that have not resolved, also those whose schema is still thinking. */
  private closed = false;
  private readonly calls = new Set<Promise<unknown>>();

  constructor(
    driver: () => Promise<Driver>,
    private readonly results: Results,
    onInserted: () => void,
  ) {
    const send = async (jobs: NewJob[]): Promise<InsertOutcome[]> => {
      const outcomes = await (await driver()).insertJobs(jobs);
      onInserted();
      return outcomes;
    };
    this.batcher = new Batcher(send, {
      items: LIMITS.rowsPerStatement,
      bytes: LIMITS.bytesPerStatement,
      sizeOf: (job) => Buffer.byteLength(job.payload.text ?? ""),
    });
  }

  enqueue<Input>(...order: Order<Input>): Promise<Enqueued> {
    return this.counted(newJob(...order).then((job) => this.insert(job)));
  }

  /** All are checked before the first is written; they are written in order, up to 1,000 to a commit. */
  enqueueMany(orders: readonly Order<unknown>[]): Promise<Enqueued[]> {
    return this.counted(this.insertAll(orders));
  }

  private async insertAll(orders: readonly Order<unknown>[]): Promise<Enqueued[]> {
    checkOrders(orders);
    const jobs = await Promise.all(orders.map((order) => newJob(...order)));
    return Promise.all(jobs.map((job) => this.insert(job)));
  }

  private async insert(job: NewJob): Promise<Enqueued> {
    return new Enqueued(job.id, await this.batcher.add(job), this.results);
  }

  /** Takes no more; resolves when all that was asked for is committed or refused. */
  async close(): Promise<void> {
    this.closed = true;
    while (this.calls.size > 0) await Promise.allSettled(this.calls);
    await this.batcher.settled();
  }

  private counted<T>(call: Promise<T>): Promise<T> {
    if (this.closed) {
      call.catch(() => undefined);
      return Promise.reject(
        new QudoError("QUDO_CLOSED", "This Qudo was closed. Make a new one to go on."),
      );
    }
    this.calls.add(call);
    const forget = (): boolean => this.calls.delete(call);
    call.then(forget, forget);
    return call;
  }
}

/**
 * Everything is read before the first await, so that what the caller changes later changes no job. A schema sees what
 * the worker will see: the payload as JSON carries it.
 */
async function newJob<Input>(...[job, payload, options = {}]: Order<Input>): Promise<NewJob> {
  checkDefinition(job);
  checkOptions(options, KNOWN, "enqueue");
  if (options.delay !== undefined && options.runAt !== undefined)
    throw new InvalidInputError("QUDO_INVALID_OPTION", "Give delay or runAt, not both.");
  const { queue = job.queue, priority = job.priority, maxAttempts = job.maxAttempts } = options;
  const own = keepTimes(options.keep, "enqueue");
  const text = encodePayload(payload);
  const row: NewJob = {
    id: options.id === undefined ? newId() : checkId(options.id),
    kind: job.kind,
    queue: checkName(queue, "queue"),
    priority: checkPriority(priority),
    delayMs: options.delay === undefined ? 0 : durationMs(options.delay, "delay"),
    runAt: options.runAt === undefined ? null : checkDate(options.runAt, "runAt"),
    expiresAt: options.expiresAt === undefined ? null : checkDate(options.expiresAt, "expiresAt"),
    maxAttempts: checkMaxAttempts(maxAttempts),
    timeoutMs: job.timeoutMs,
    keepDoneMs: own.keepDoneMs ?? job.keepDoneMs,
    keepOtherMs: own.keepOtherMs ?? job.keepOtherMs,
    redact: null,
    payload: { codec: CODEC_JSON, text, bin: null },
    uniqueKey: options.uniqueKey === undefined ? null : checkKey(options.uniqueKey),
  };
  if (job.schema !== null) await validate(job.schema, decode(text), `Payload of "${job.kind}"`);
  return row;
}

/** A module that failed to load gives undefined; a name alone is no definition. */
function checkDefinition(job: AnyJobDefinition): void {
  if (typeof job?.run !== "function" || job.schema === undefined)
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `enqueue takes a job made by defineJob first, not ${show(job)}.`,
    );
  checkName(job.kind, "job kind");
}

function checkKey(key: unknown): string {
  if (
    typeof key !== "string" ||
    key.length === 0 ||
    Buffer.byteLength(key) > 1_024 ||
    !key.isWellFormed() ||
    key.includes("\0")
  )
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      "uniqueKey must be text of 1 to 1,024 bytes without NUL.",
    );
  return key;
}

function checkOrders(orders: unknown): void {
  if (!Array.isArray(orders) || !orders.every((order) => Array.isArray(order)))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      "enqueueMany takes a list of [job, payload, options].",
    );
}

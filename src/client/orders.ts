/** Orders: what is to be enqueued, checked and completed before anything is written. */
import { durationMs } from "../core/duration.js";
import { InvalidInputError } from "../core/errors.js";
import { HookSet } from "../core/hooks.js";
import type { AnyJobDefinition, Order, WorkJob } from "../core/job.js";
import { keepTimes } from "../core/keep.js";
import { keyOfPayload } from "../core/limits/spec.js";
import {
  checkDate,
  checkMaxAttempts,
  checkName,
  checkOptions,
  checkPriority,
  show,
} from "../core/options.js";
import type { EnqueueOptions } from "../core/order.js";
import { validateNow } from "../core/schema.js";
import { Serializers } from "../core/serializer.js";
import type { NewJob } from "../storage/driver.js";
import { newId } from "../storage/ids.js";
import { checkId } from "./info.js";

export type { Order } from "../core/job.js";

export const KNOWN = [
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

/** A job that can be written, once its schema has had its say. */
export interface Prepared {
  readonly job: NewJob;
  /** Null where the schema has answered already. */
  readonly checked: Promise<unknown> | null;
}

/** How orders become jobs in one Qudo. */
export class Orders {
  constructor(
    readonly serializers: Serializers = new Serializers(),
    readonly hooks: HookSet<WorkJob> = new HookSet(),
  ) {}

  /**
   * Everything is read at the call, so that what the caller changes later changes no job. A schema sees what the worker
   * will see: the payload as it was read back. `most`: how many bytes it may take.
   * @throws InvalidInputError
   */
  prepare<Input>([job, payload, options = {}]: Order<Input>, most?: number): Prepared {
    checkDefinition(job);
    checkOptions(options, KNOWN, "enqueue");
    if (options.delay !== undefined && options.runAt !== undefined)
      throw new InvalidInputError("QUDO_INVALID_OPTION", "Give delay or runAt, not both.");
    const { queue = job.queue, priority = job.priority, maxAttempts = job.maxAttempts } = options;
    const own = keepTimes(options.keep, "enqueue");
    const packed = this.serializers.pack(payload, job, job.serializer, most);
    // The caller's object may say something else by the time it is stored.
    const isRead = job.schema !== null || job.limits?.key != null;
    const read: unknown = isRead ? this.serializers.unpack(packed, job) : undefined;
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
      redact: job.redact,
      payload: packed,
      uniqueKey: options.uniqueKey === undefined ? null : checkKey(options.uniqueKey),
      limitKey: job.limits?.key == null ? null : keyOfPayload(job.limits, read, job.kind),
    };
    if (job.schema === null) return { job: row, checked: null };
    const verdict = validateNow(job.schema, read, `Payload of "${job.kind}"`);
    if (!(verdict instanceof Promise)) return { job: row, checked: null };
    // Where another order is refused meanwhile, nobody asks for this one's verdict.
    verdict.catch(() => undefined);
    return { job: row, checked: verdict };
  }

  /** The same for those who cannot wait. @throws InvalidInputError also where the schema answers with a promise. */
  prepareNow(order: Order<unknown>, most?: number): NewJob {
    const { job, checked } = this.prepare(order, most);
    if (checked === null) return job;
    throw new InvalidInputError(
      "QUDO_INVALID_PAYLOAD",
      `The schema of "${job.kind}" answers with a promise, for which enqueueSync cannot wait. Use enqueue.`,
    );
  }
}

/** A module that failed to load gives undefined; a name alone is no definition. */
export function checkDefinition(job: AnyJobDefinition): void {
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

/** What a kind of job is: its name, how it is queued and retried, and the code that runs it. */
import type { Backoff } from "./backoff.js";
import { linearThenExponential } from "./backoff.js";
import { DEFAULTS } from "./defaults.js";
import { durationMs, type Duration } from "./duration.js";
import { InvalidInputError, QudoError } from "./errors.js";
import { hooksOf, type HooksOf } from "./hooks.js";
import { checkPaths } from "./redact.js";
import { checkIsolation, checkModule, type Isolation } from "./isolation.js";
import { keepTimes, type Keep } from "./keep.js";
import { checkKindLimits, type CheckedLimits, type KindLimits } from "./limits/spec.js";
import {
  checkFlag,
  checkMaxAttempts,
  checkName,
  checkOptions,
  checkPriority,
  show,
} from "./options.js";
import type { EnqueueOptions } from "./order.js";
import { isStandardSchema, type StandardSchema } from "./schema.js";
import { checkSerializer, type Serializer } from "./serializer.js";
import type { Snooze } from "./snooze.js";
import type { LogLevel, RunState } from "./states.js";

/** Plugins by name, where nobody has said which there are. */
export type AnyPlugins = Readonly<Record<string, unknown>>;

/** What a handler is given beside its payload. */
export interface JobContext<Context = unknown, Plugins = AnyPlugins> {
  readonly id: string;
  readonly kind: string;
  readonly queue: string;
  /** The name of the database that it is in, where there are several; null where there is one. `completeIn` wants a transaction there. */
  readonly database: string | null;
  /** 1 at the first try; failures count, crashes and give-backs do not. */
  readonly attempt: number;
  /** The fence: grows with every event of the job. */
  readonly run: number;
  readonly maxAttempts: number;
  readonly priority: number;
  /** The payload as it stands in the database, before it was read: text or bytes. */
  readonly payloadOrigin: string | Uint8Array | null;
  /** Milliseconds since this run began, by a clock that nobody sets. */
  readonly elapsedMs: number;
  /** What has been decided about this run; null while it is open. */
  readonly outcome: RunState | null;
  /** Aborted when the job timed out, was cancelled, was lost to another worker, or its worker must stop. */
  readonly signal: AbortSignal;
  /** What `new Qudo({ context })` was given: database handles, clients, settings. */
  readonly context: Context;
  /** What the plugins of this Qudo offer, by their names: the same as `qudo.plugins`. */
  readonly plugins: Plugins;
  /** Gives the job up for good: it is abandoned and never retried. */
  abort(reason: string): never;
  /** Ends this run and asks for another one later. It is no failure and uses up no attempt. Same as `return snooze(delay)`. */
  snooze(delay: Duration): never;
  /** The same as `snooze`, with nothing to wait for where no delay is given. */
  reenqueue(delay?: Duration): never;
  /** Takes the job out of its queue: it is cancelled, without a result and without a failure, and runs no more unless somebody retries it. */
  dequeue(): never;
  /**
   * Jobs that take the place of this one: `await job.replace([[resize, { file }], [notify, { to }, { delay: "5m" }]])`. They are added
   * by the transaction that records this run as done, in the same database: when the handler returns, and its end counts; where it
   * throws, or has lost its run, they never were. Called again it adds more. A unique key of this job is handed over to the first of
   * them that wants it; one whose key another job has is not added, which the event "enqueued" tells ("unique").
   * Resolves to their ids, once they have been checked. Where one was refused the run fails, whatever the handler makes of it.
   * @throws InvalidInputError for what cannot be enqueued; QudoError QUDO_REPLACE_IN_TRANSACTION together with `completeIn`.
   */
  replace<const Inputs extends readonly unknown[]>(orders: {
    readonly [I in keyof Inputs]: Order<Inputs[I]>;
  }): Promise<readonly string[]>;
  /** How far it is: any small JSON, at most 4 KiB. Written at most once a second, the last value wins; seen in `qudo show`. */
  progress(value: unknown): void;
  /** A line for the job's own log, kept with it: at most 1,000 a run, 8 KiB each. Default level "info". */
  log(message: string, level?: LogLevel): void;
  /**
   * Records this run as done inside the user's own open transaction: effects and outcome are committed together, or
   * not at all. What the handler returns afterwards is ignored; after a rollback the run counts as failed.
   * @throws RunLostError when the run is not ours any more: let it roll the transaction back.
   */
  completeIn(transaction: object, result?: unknown): void | Promise<void>;
  /**
   * The run is done, from now on: what the handler returns or throws afterwards changes nothing. False when it was decided before,
   * by `fail`, by `completeIn` or by a time-out.
   * @throws InvalidInputError QUDO_INVALID_RESULT for a result that cannot be stored; the run is open then as before.
   */
  done(result?: unknown): boolean;
  /** The run has failed, from now on, as if this had been thrown: it is tried again, or abandoned. False when it was decided before. */
  fail(error: unknown): boolean;
  /** Its worker takes no more jobs, over all its databases, and stops when this one and those beside it have ended. */
  quit(): void;
}

/** The code of a job. What it returns is kept as the result; what it throws is a failure, and is tried again. */
export type Handler<Payload, Result, Context = unknown, Plugins = AnyPlugins> = (
  payload: Payload,
  job: JobContext<Context, Plugins>,
) => Promise<Result> | Result;

/** What hooks of working are given: what the handler is given, and its payload. */
export interface WorkJob extends JobContext {
  /** As the handler is given it. Undefined where it could not be read. */
  readonly payload: unknown;
}

/** A set of hooks, for `qudo.use` or `defineJob`. Plain functions: what each may do stands at each. */
export type Hooks = HooksOf<WorkJob>;

/** What {@link defineJob} takes: the defaults of every job of this kind, and its handler. */
export interface JobOptions<Input, Payload, Result, Context = unknown, Plugins = AnyPlugins> {
  /** Any Standard Schema validator. Checked at enqueue and again before the handler. Default: anything JSON can carry. */
  payload?: StandardSchema<Input, Payload>;
  /** Default "default". */
  queue?: string;
  /** Failed tries before the job is abandoned; −1 for ever. Default 6. */
  maxAttempts?: number;
  /** Higher runs first. −32,767 to 32,767. Default 0. */
  priority?: number;
  /**
   * Wait after a failure. Default: 1, 2, 3, 4, 5 minutes, then doubling up to a day. A function of your own is given the
   * number of failures, a random number from 0 to 1, and the job: `(fails, random, { payload, error }) => milliseconds`.
   */
  backoff?: Backoff;
  /** A run longer than this is failed and its signal aborted. Default: none. */
  timeout?: Duration;
  /**
   * Paths in the payload that nobody is shown, as in `["card.number", "users.*.email"]`; what stands there is also
   * masked in errors and log lines. Names that look secret (password, token, apiKey …) are hidden without being listed.
   */
  redact?: readonly string[];
  /**
   * How long a job is kept after its end, by how it ended; one duration means every end. Past that time it is hidden at
   * once, and deleted at the earliest ten minutes after its end. Default: visible until the policy, `new Qudo({ keep })`,
   * has it deleted.
   */
  keep?: Duration | Keep;
  /**
   * Runs the handler in a worker thread or a child process of its own, one job at a time in each, so that one that blocks or
   * dies fails alone, and a time-out ends it for certain. It loads `module` there. Default: among the worker's others.
   */
  isolate?: Isolation;
  /** The module that exports this definition, for `isolate`: `import.meta.url`. Under `qudo work` it is known. */
  module?: string | URL;
  /**
   * A handler that ends without having said how counts as failed (QUDO_NOT_COMPLETED). Said it is by `job.done`, `job.fail`, `job.abort`,
   * `job.snooze` or `job.completeIn`; what it throws is a failure as ever. Default false: who returns is done.
   */
  explicitCompletion?: boolean;
  /**
   * How many run at once and how many begin in a time: of this kind, on one machine, or of each key. The word of the worker that
   * started last is kept in the database, and all obey it. Default: no limits.
   */
  limits?: KindLimits<NoInfer<Input>>;
  /** How payloads of this kind are stored: `json`, `v8`, `messagePack()`, or one of your own. Default: that of the Qudo, which is `json`. */
  serializer?: Serializer;
  /** Called for jobs of this kind only, inside of those given to `qudo.use`. */
  hooks?: Hooks | readonly Hooks[];
  /** Runs one job. May run more than once: a process can die before it has told that it was done. */
  run: Handler<Payload, Result, Context, Plugins>;
}

/** A kind of job, made by {@link defineJob}. */
export interface JobDefinition<
  Input = unknown,
  Payload = Input,
  Result = unknown,
  Context = unknown,
  Plugins = AnyPlugins,
> {
  readonly kind: string;
  readonly queue: string;
  readonly maxAttempts: number;
  readonly priority: number;
  readonly backoff: Backoff;
  readonly timeoutMs: number | null;
  /** Null for none but those that look secret by their name. */
  readonly redact: readonly string[] | null;
  readonly keepDoneMs: number | null;
  readonly keepOtherMs: number | null;
  /** Null for none. */
  readonly limits: CheckedLimits | null;
  readonly schema: StandardSchema<Input, Payload> | null;
  /** Null for none of its own. */
  readonly isolate: Isolation | null;
  /** Address of the module that exports it; null where nobody said. */
  readonly module: string | null;
  /** Returning is not enough: the handler has to say that it is done. */
  readonly explicitCompletion: boolean;
  /** Null for that of the Qudo. */
  readonly serializer: Serializer | null;
  readonly hooks: readonly Hooks[] | null;
  readonly run: Handler<Payload, Result, Context, Plugins>;
}

/** One job that is to be enqueued: definition, payload, options. */
export type Order<Input> = readonly [
  // oxlint-disable-next-line typescript/no-explicit-any -- what the schema and the handler make of it does not matter here
  job: JobDefinition<Input, any, any, any, any>,
  // The type comes from the job alone: inferred from both, it would be whatever suits both, and nothing would be checked.
  payload: NoInfer<Input>,
  options?: EnqueueOptions,
];

/** Any definition, whatever its types: what lists of definitions hold. */
// oxlint-disable-next-line typescript/no-explicit-any -- handlers are contravariant in their payload
export type AnyJobDefinition = JobDefinition<any, any, any, any, any>;

/** What all these jobs find as `job.context`: the context that suits every one of them. Unknown where none needs any. */
export type ContextOf<Jobs extends readonly AnyJobDefinition[]> = (
  Jobs[number] extends infer Job ? (Job extends AnyJobDefinition ? Finds<Job> : never) : never
) extends (context: infer Context) => void
  ? Context
  : never;

type Finds<Job> = Job extends {
  // oxlint-disable-next-line typescript/no-explicit-any -- asked by itself, below
  readonly run: (payload: never, job: JobContext<infer Context, any>) => unknown;
}
  ? (context: Context) => void
  : never;

/** What all these jobs need to find as `job.plugins`. */
export type PluginsNeededBy<Jobs extends readonly AnyJobDefinition[]> = (
  Jobs[number] extends infer Job
    ? Job extends AnyJobDefinition
      ? FindsPlugins<Job>
      : never
    : never
) extends (plugins: infer Plugins) => void
  ? Plugins
  : never;

type FindsPlugins<Job> = Job extends {
  // oxlint-disable-next-line typescript/no-explicit-any -- asked by itself, above
  readonly run: (payload: never, job: JobContext<any, infer Plugins>) => unknown;
}
  ? (plugins: Plugins) => void
  : never;

const KNOWN = [
  "payload",
  "queue",
  "maxAttempts",
  "priority",
  "backoff",
  "timeout",
  "redact",
  "keep",
  "isolate",
  "module",
  "explicitCompletion",
  "limits",
  "serializer",
  "hooks",
  "run",
] as const satisfies readonly (keyof JobOptions<unknown, unknown, unknown>)[];

/** Makes definitions of jobs whose handlers find this context, and these plugins. */
export interface DefineJob<Context, Plugins = AnyPlugins> {
  <Input, Payload, Result>(
    kind: string,
    options: JobOptions<Input, Payload, Result, Context, Plugins> & {
      payload: StandardSchema<Input, Payload>;
    },
  ): JobDefinition<Input, Payload, Exclude<Result, Snooze>, Context, Plugins>;
  <Payload, Result>(
    kind: string,
    options: JobOptions<Payload, Payload, Result, Context, Plugins> & { payload?: undefined },
  ): JobDefinition<Payload, Payload, Exclude<Result, Snooze>, Context, Plugins>;
  <Input, Payload, Result>(
    kind: string,
    options: JobOptions<Input, Payload, Result, Context, Plugins>,
  ): JobDefinition<Input, Payload, Exclude<Result, Snooze>, Context, Plugins>;
}

/**
 * Defines a kind of job. The payload's type flows from the schema, or without one from the handler's parameter, to enqueue.
 * A handler may return {@link snooze} in place of a result: it is none.
 * @throws InvalidInputError for a bad name or option, before anything is written.
 */
export const defineJob = define as DefineJob<unknown>;

/**
 * `const defineJob = jobsWith<{ db: Database }>()`: the same {@link defineJob}, for handlers that need a context. They find it
 * as `job.context`, and `new Qudo({ jobs, context })` demands what all its jobs need. The second type is what they need of plugins,
 * which they find as `job.plugins`: `jobsWith<unknown, PluginsOf<[typeof metrics]>>()`.
 */
export function jobsWith<Context, Plugins = AnyPlugins>(): DefineJob<Context, Plugins> {
  return define as DefineJob<Context, Plugins>;
}

function define<Input, Payload, Result, Context, Plugins>(
  kind: string,
  options: JobOptions<Input, Payload, Result, Context, Plugins>,
): JobDefinition<Input, Payload, Result, Context, Plugins> {
  checkName(kind, "job kind");
  checkOptions(options, KNOWN, `defineJob("${kind}")`);
  if (typeof options?.run !== "function") throw wants(kind, "run: a function");
  if (options.backoff !== undefined && typeof options.backoff !== "function")
    throw wants(kind, "backoff: a function, such as linearThenExponential()");
  if (options.payload !== undefined && !isStandardSchema(options.payload))
    throw wants(kind, "payload: a Standard Schema validator (Zod, Valibot, ArkType, …)");
  return Object.freeze({
    kind,
    queue: checkName(options.queue ?? DEFAULTS.queue, "queue"),
    maxAttempts: checkMaxAttempts(options.maxAttempts ?? DEFAULTS.maxAttempts),
    priority: checkPriority(options.priority ?? 0),
    backoff: options.backoff ?? linearThenExponential(),
    timeoutMs: options.timeout === undefined ? null : durationMs(options.timeout, "timeout"),
    redact: options.redact === undefined ? null : checkPaths(options.redact),
    ...keepTimes(options.keep, `defineJob("${kind}")`),
    limits: checkKindLimits(options.limits, `limits of defineJob("${kind}")`),
    schema: options.payload ?? null,
    isolate: options.isolate === undefined ? null : checkIsolation(options.isolate),
    module: options.module === undefined ? null : checkModule(options.module),
    explicitCompletion: checkFlag(options.explicitCompletion ?? false, "explicitCompletion"),
    serializer:
      options.serializer === undefined
        ? null
        : checkSerializer(options.serializer, `defineJob("${kind}")`),
    hooks: hooksOf(options.hooks, `hooks of defineJob("${kind}")`),
    run: options.run,
  });
}

function wants(kind: string, what: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", `defineJob("${kind}") needs ${what}.`);
}

/** Definitions by kind. A Map, so that a kind named "constructor" finds nothing that was not registered. */
export type Registry = ReadonlyMap<string, AnyJobDefinition>;

/** @throws InvalidInputError for a list that is none, or holds what defineJob did not make; also for two jobs of one name. */
export function registry(jobs: readonly AnyJobDefinition[]): Registry {
  if (!Array.isArray(jobs)) throw notDefinitions(jobs);
  const byKind = new Map<string, AnyJobDefinition>();
  for (const job of jobs) {
    // A module that failed to load gives undefined.
    if (typeof job?.run !== "function" || job.schema === undefined) throw notDefinitions(job);
    const other = byKind.get(job.kind);
    if (other !== undefined && other !== job)
      throw new InvalidInputError(
        "QUDO_DUPLICATE_KIND",
        `Two different jobs are named "${job.kind}". Rename one of them.`,
      );
    byKind.set(job.kind, job);
  }
  return byKind;
}

function notDefinitions(value: unknown): InvalidInputError {
  return new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `jobs takes a list of what defineJob made, not ${show(value)}.`,
  );
}

/**
 * Those of the registered kinds that a worker is to be able to do; without a list all of them.
 * @throws QudoError QUDO_NO_JOBS when there is none; InvalidInputError for a kind that was not registered.
 */
export function abilities(
  known: Registry,
  kinds?: readonly (string | AnyJobDefinition)[],
): Registry {
  if (kinds !== undefined && !Array.isArray(kinds))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `kinds is ${show(kinds)}; give a list of definitions or their names, as in ["mail"].`,
    );
  const able =
    kinds === undefined
      ? known
      : new Map(kinds.map((kind) => ability(known, kind)).map((job) => [job.kind, job]));
  if (able.size > 0) return able;
  throw new QudoError(
    "QUDO_NO_JOBS",
    "A worker needs job definitions: new Qudo({ databases, jobs: [defineJob(…)] }), and at least one of them where it is given kinds.",
  );
}

function ability(known: Registry, kind: string | AnyJobDefinition): AnyJobDefinition {
  const name = typeof kind === "string" ? kind : kind?.kind;
  const job = known.get(name);
  if (job !== undefined) return job;
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `kinds names ${show(name)}, which is none of this Qudo's jobs: ${[...known.keys()].join(", ")}.`,
  );
}

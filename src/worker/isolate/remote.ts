/** One host as its worker sees it: loading, then one job at a time, until it ends or is ended. */
import { DEFAULTS } from "../../core/defaults.js";
import { JobError, QudoError } from "../../core/errors.js";
import type { Isolation } from "../../core/isolation.js";
import type { JobContext, Registry } from "../../core/job.js";
import { snooze } from "../../core/snooze.js";
import { openLine, type Line } from "./line.js";
import { ordersOf, type Answer } from "./orders.js";
import {
  packThrown,
  unpackThrown,
  type Ending,
  type FromHost,
  type Packed,
  type PlainContext,
  type PlainOrder,
} from "./wire.js";

/** What is said of a run. */
type Words = Extract<
  Exclude<FromHost, string>,
  | { log: unknown }
  | { progress: unknown }
  | { done: unknown }
  | { fail: unknown }
  | { replace: unknown }
  | { ended: unknown }
>;

/** The host had ended before it began with the job. */
export class NeverBegan extends Error {}

/** A run that is under way in the host. */
interface Under {
  readonly job: JobContext;
  begun: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class Remote {
  /** The kinds that the module exports. Rejects with QUDO_ISOLATE_FAILED when it cannot be loaded. */
  readonly kinds: Promise<ReadonlySet<string>>;
  private loaded!: (kinds: ReadonlySet<string>) => void;
  private failed!: (error: Error) => void;
  private readonly line: Line;
  private patience: NodeJS.Timeout;
  private under: Under | null = null;
  private dying: Packed | null = null;
  private isOver = false;
  /** Nobody is there any more. */
  private gone = false;

  /** `onOver` is called once, when it has ended, however. */
  constructor(
    private readonly isolation: Isolation,
    private readonly module: string,
    private readonly jobs: Registry,
    private readonly onOver: (remote: Remote) => void,
  ) {
    this.kinds = new Promise((resolve, reject) => {
      this.loaded = resolve;
      this.failed = reject;
    });
    this.kinds.catch(() => undefined);
    this.line = openLine(isolation, module, {
      heard: (message) => this.heard(message),
      ended: (how) => this.ended(how),
    });
    this.patience = setTimeout(
      () => this.unusable(`it was not loaded within ${DEFAULTS.isolateStartMs / 1_000} s`),
      DEFAULTS.isolateStartMs,
    );
  }

  /** It takes no job any more. */
  get over(): boolean {
    return this.isOver;
  }

  /**
   * Runs one job; resolves and rejects as its handler does. Once its signal is aborted the handler has a little time, then all of
   * it is ended.
   * @throws NeverBegan when it had ended before the handler began: another one may run the job.
   */
  async run(payload: unknown, job: JobContext): Promise<unknown> {
    const { signal } = job;
    signal.throwIfAborted();
    this.line.hold(true);
    let last: NodeJS.Timeout | undefined;
    const stop = (): void => {
      // While it loads there is nobody in it who could listen.
      if (this.under === null) return this.kill();
      last = setTimeout(() => this.kill(), DEFAULTS.killGraceMs);
      this.line.say({ abort: packThrown(signal.reason) });
    };
    signal.addEventListener("abort", stop);
    try {
      if (!(await this.kinds).has(job.kind)) throw noSuchKind(job.kind, this.module);
      signal.throwIfAborted();
      return await this.ask(payload, job);
    } finally {
      signal.removeEventListener("abort", stop);
      clearTimeout(last);
      this.under = null;
      this.line.hold(false);
    }
  }

  private ask(payload: unknown, job: JobContext): Promise<unknown> {
    return new Promise<unknown>((resolve, reject) => {
      this.under = { job, begun: false, resolve, reject };
      if (this.gone) reject(new NeverBegan());
      else this.line.say({ run: { payload, job: plain(job) } });
    });
  }

  /** It waits for nothing: lets it end by itself, if it does so soon. */
  end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.line.say("end");
    this.patience = setTimeout(() => this.line.kill(), DEFAULTS.killGraceMs).unref();
  }

  kill(): void {
    this.isOver = true;
    this.line.kill();
  }

  private heard(message: FromHost): void {
    if (message === "begun") this.begun();
    else if (message === "quit") this.under?.job.quit();
    else if ("kinds" in message) {
      clearTimeout(this.patience);
      if (this.under === null) this.line.hold(false);
      this.loaded(new Set(message.kinds));
    } else if ("unusable" in message) this.unusable(String(unpackThrown(message.unusable)));
    else if ("dying" in message) this.dying = message.dying;
    else this.heardOf(message);
  }

  private begun(): void {
    if (this.under !== null) this.under.begun = true;
  }

  private heardOf(message: Words): void {
    const { under } = this;
    if (under === null) return;
    try {
      this.heardOfRun(message, under);
    } catch (error) {
      // What it says was checked there; still, what is refused here ends this run and nothing else.
      under.reject(error);
    }
  }

  private heardOfRun(message: Words, under: Under): void {
    const { job } = under;
    if ("log" in message) job.log(unpackThrown(message.log) as string, message.level);
    else if ("progress" in message) job.progress(JSON.parse(message.progress));
    else if ("done" in message) job.done(resultOf(message.done));
    else if ("fail" in message) job.fail(unpackThrown(message.fail));
    else if ("replace" in message) void this.replace(message.replace, message.ask, job);
    else settle(message.ended, under);
  }

  /** Begun before anything that is said later is heard: a handler may end without having waited for it. */
  private async replace(plain: readonly PlainOrder[], ask: number, job: JobContext): Promise<void> {
    let answer: Answer;
    try {
      answer = { answer: ask, ids: await job.replace(ordersOf(plain, this.jobs)) };
    } catch (error) {
      answer = { answer: ask, refused: packThrown(error) };
    }
    if (!this.gone) this.line.say(answer);
  }

  private unusable(why: string): void {
    this.failed(
      new QudoError(
        "QUDO_ISOLATE_FAILED",
        `The ${this.isolation} for handlers cannot use ${this.module}: ${why}. Its module must define jobs and start nothing that needs the worker's own thread.`,
      ),
    );
    this.kill();
  }

  private ended(how: string): void {
    this.isOver = true;
    this.gone = true;
    clearTimeout(this.patience);
    // What a broken module or a loading one ends with is told; a promise that was kept before stays so.
    this.unusable(`it ended while loading (${how})${this.because}`);
    this.under?.reject(this.under.begun ? this.died(how) : new NeverBegan());
    this.onOver(this);
  }

  private died(how: string): JobError {
    return new JobError(
      "QUDO_HANDLER_DIED",
      `The ${this.isolation} of its own in which the handler ran ended under it (${how})${this.because}. Nothing but this run was in it.`,
      { cause: this.dying === null ? undefined : unpackThrown(this.dying) },
    );
  }

  private get because(): string {
    return this.dying === null ? "" : `: ${String(unpackThrown(this.dying))}`;
  }
}

function settle(ended: Ending, { job, resolve, reject }: Under): void {
  if (ended === "dequeued") rejected(reject, () => job.dequeue());
  else if ("result" in ended) resolve(resultOf(ended.result));
  else if ("snoozeMs" in ended) resolve(snooze(ended.snoozeMs / 1_000));
  else if ("thrown" in ended) reject(unpackThrown(ended.thrown));
  else rejected(reject, () => job.abort(ended.aborted));
}

/** As a handler elsewhere throws it. */
function rejected(reject: (error: unknown) => void, act: () => never): void {
  try {
    act();
  } catch (error) {
    reject(error);
  }
}

const resultOf = (json: string | null): unknown => (json === null ? undefined : JSON.parse(json));

function plain(job: JobContext): PlainContext {
  const { id, kind, queue, database, attempt, run, maxAttempts, priority } = job;
  const { payloadOrigin, elapsedMs } = job;
  return {
    id,
    kind,
    queue,
    database,
    attempt,
    run,
    maxAttempts,
    priority,
    payloadOrigin,
    elapsedMs,
  };
}

export function noSuchKind(kind: string, module: string): QudoError {
  return new QudoError(
    "QUDO_ISOLATE_FAILED",
    `${module} does not export "${kind}". Export what defineJob returns, or correct its module: import.meta.url.`,
  );
}

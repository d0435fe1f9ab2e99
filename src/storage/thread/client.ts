/**
 * A driver whose database works in a thread of its own: each operation goes over as a message, and as many as one likes
 * may be under way. Knows no engine.
 *
 * The thread holds no process alive but while an answer is awaited. One that dies takes with it what was under way
 * (transient errors: every operation may be repeated); the next call starts another.
 */
import { Worker as Thread } from "node:worker_threads";
import { closedError, DatabaseError, QudoError } from "../../core/errors.js";
import type { Driver, KeepAlive } from "../driver.js";
import { watchExit } from "./exit.js";
import { Pulse } from "./pulse.js";
import { pack, unpack } from "./rows.js";
import {
  OPENING,
  unpackError,
  type Birth,
  type Message,
  type Opened,
  type Operation,
  type Request,
} from "./wire.js";

export interface ThreadOptions extends Pick<Birth, "database" | "clock"> {
  /** The same database, for a thread that follows one that died: by then the working directory may be another. */
  readonly again: Birth["database"];
}

export async function openInThread(options: ThreadOptions): Promise<Driver> {
  const client = new Client(options);
  const { label, capabilities, optional } = await client.opened();
  const call = <K extends Operation>(operation: K): Driver[K] =>
    ((...values: readonly unknown[]) => client.call(operation, values)) as Driver[K];
  return {
    label,
    capabilities,
    migrate: call("migrate"),
    schemaVersion: call("schemaVersion"),
    ping: call("ping"),
    close: () => client.close(),
    insertJobs: call("insertJobs"),
    openSession: call("openSession"),
    heartbeat: async (beat) => {
      const outcome = await call("heartbeat")(beat);
      if (!outcome.alive) client.forget(beat.session);
      return outcome;
    },
    closeSession: (session) => {
      client.forget(session);
      return call("closeSession")(session);
    },
    keepAlive: (session, times) => client.keepAlive(session, times),
    sessions: call("sessions"),
    reap: call("reap"),
    trip: call("trip"),
    markStarted: call("markStarted"),
    payloads: call("payloads"),
    release: call("release"),
    report: call("report"),
    promote: call("promote"),
    prune: call("prune"),
    cancel: call("cancel"),
    retry: call("retry"),
    purge: call("purge"),
    reschedule: call("reschedule"),
    enqueueFromFailed: call("enqueueFromFailed"),
    dismiss: call("dismiss"),
    setPaused: call("setPaused"),
    getJobs: call("getJobs"),
    listJobs: call("listJobs"),
    endings: call("endings"),
    listLog: call("listLog"),
    tally: call("tally"),
    listAttempts: call("listAttempts"),
    counts: call("counts"),
    audit: call("audit"),
    identify: call("identify"),
    rename: call("rename"),
    setMode: call("setMode"),
    ...(optional.includes("backup") && { backup: call("backup") }),
    ...(optional.includes("compact") && { compact: call("compact") }),
    ...(optional.includes("subscribe") && {
      subscribe: (onChange: () => void) => client.subscribe(onChange),
    }),
  };
}

class Client {
  private life: Life | null = null;
  private lives = 0;
  private closing: Promise<void> | null = null;
  private readonly listeners = new Set<() => void>();
  private readonly kept = new Map<string, KeepAlive>();
  private readonly pulse = new Pulse();

  constructor(private readonly options: ThreadOptions) {}

  opened(): Promise<Opened> {
    return this.current().opened;
  }

  async call(operation: Operation, values: readonly unknown[]): Promise<unknown> {
    if (this.closing !== null) throw closedError();
    return this.current().call(operation, values);
  }

  async keepAlive(session: string, times: KeepAlive): Promise<void> {
    await this.call("keepAlive", [session, times]);
    this.kept.set(session, times);
    this.pulse.start();
  }

  /** A session that nobody keeps alive any more. */
  forget(session: string): void {
    if (this.kept.delete(session) && this.kept.size === 0) this.pulse.stop();
  }

  subscribe(onChange: () => void): () => void {
    // Of its own, so that one function may listen twice.
    const listener = (): void => onChange();
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.tell("subscribe", true);
    return () => {
      if (this.listeners.delete(listener) && this.listeners.size === 0)
        this.tell("subscribe", false);
    };
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.listeners.clear();
    this.kept.clear();
    this.pulse.stop();
    if (this.life?.over === false) await this.life.end();
  }

  /** The thread that lives, or a new one that is told what the last one knew. */
  private current(): Life {
    if (this.life?.over === false) return this.life;
    const { clock, again } = this.options;
    const database = this.lives++ === 0 ? this.options.database : again;
    const birth = { database, clock, pulse: this.pulse.shared, exit: new SharedArrayBuffer(4) };
    this.life = new Life(birth, () => this.changed());
    if (this.listeners.size > 0) this.tell("subscribe", true);
    for (const [session, times] of this.kept) this.tell("keepAlive", session, times);
    return this.life;
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }

  /** Whatever goes wrong with these, the next call finds out too. */
  private tell(operation: Operation, ...values: readonly unknown[]): void {
    this.call(operation, values).catch(() => undefined);
  }
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Beside this file where that is compiled. Node runs no TypeScript: from the sources, what was built is run. */
const HOST = import.meta.url.endsWith(".ts")
  ? new URL("../../../dist/storage/thread/host.js", import.meta.url)
  : new URL("./host.js", import.meta.url);

/** One thread, from its start to its end. */
class Life {
  readonly opened: Promise<Opened>;
  over = false;
  private readonly thread: Thread;
  private readonly unwatch: () => void;
  private readonly waiting = new Map<number, Waiting>();
  private last = OPENING;

  constructor(
    private readonly birth: Birth,
    private readonly onChange: () => void,
  ) {
    // Preloads of NODE_OPTIONS run in the thread too; flags of the command line (-e, --import tsx) are not for it.
    this.thread = new Thread(HOST, { workerData: birth, execArgv: [], name: "qudo database" });
    this.thread.on("message", (message: Message) => this.heard(message));
    this.thread.on("error", (error) => this.ended(error));
    this.thread.on("exit", () => this.ended(undefined));
    this.unwatch = watchExit({ exit: birth.exit, ask: () => this.thread.postMessage("exit") });
    this.opened = this.awaited(OPENING) as Promise<Opened>;
    this.opened.catch((error: unknown) => this.ended(error));
  }

  call(operation: Operation, values: readonly unknown[]): Promise<unknown> {
    const request: Request = { id: ++this.last, operation, values: values.map(pack) };
    this.thread.postMessage(request);
    return this.awaited(request.id);
  }

  /** After what is under way. */
  async end(): Promise<void> {
    try {
      await this.call("close", []);
    } catch (error) {
      // One that died has closed all the same.
      if (!this.over) throw error;
    } finally {
      this.over = true;
      await this.thread.terminate();
      this.unwatch();
    }
  }

  private awaited(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      if (this.waiting.size === 1) this.thread.ref();
    });
  }

  private heard(message: Message): void {
    if (message === "changed") return this.onChange();
    const waiting = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (this.waiting.size === 0) this.thread.unref();
    if ("error" in message) waiting?.reject(unpackError(message.error));
    else waiting?.resolve(unpack(message.value));
  }

  /** An error that kept it from opening is told to all who wait as it is. */
  private ended(error: unknown): void {
    if (this.over && this.waiting.size === 0) return;
    this.over = true;
    this.unwatch();
    this.thread.unref();
    const reason = error instanceof QudoError ? error : this.died(error);
    for (const { reject } of this.waiting.values()) reject(reason);
    this.waiting.clear();
  }

  private died(cause: unknown): DatabaseError {
    const because = cause instanceof Error ? `: ${cause.message}` : "";
    return new DatabaseError(
      "QUDO_DATABASE_FAILED",
      `The thread of ${String(this.birth.database["url"])} ended unexpectedly${because}. The call is safe to repeat; a new thread is started for it.`,
      true,
      // Nobody is left who could say whether it got to its commit.
      { cause, happened: "perhaps" },
    );
  }
}

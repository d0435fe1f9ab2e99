/**
 * Connections that are kept for the next transaction. Whoever finds none free waits in line; where none can be made, all who
 * wait are told so at once. A connection that nobody uses keeps no process from its end.
 */
import { closedError, DatabaseError } from "../../core/errors.js";

/** What is kept. */
export interface Pooled {
  /** False once it is known to be broken. */
  readonly usable: boolean;
  /** Whether it keeps the process alive. */
  hold(on: boolean): void;
  /** Without a word to the other side. */
  destroy(): void;
  /** In good order. */
  end(): Promise<void>;
}

export interface PoolOptions<C extends Pooled> {
  readonly label: string;
  readonly max: number;
  open(): Promise<C>;
}

/** One that nobody has asked for in this time is closed. */
const IDLE_MS = 30_000;
/** Longer than any statement of ours may take, so that only a pool that is far too small is reported. */
const WAIT_MS = 10_000;

interface Waiter<C> {
  readonly resolve: (connection: C) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

export class Pool<C extends Pooled> {
  private readonly idle: { connection: C; timer: NodeJS.Timeout }[] = [];
  private readonly waiting: Waiter<C>[] = [];
  /** By connection: how often everything had been forgotten when it was made. */
  private readonly born = new Map<C, number>();
  private age = 0;
  /** Those that are being made, too. */
  private size = 0;
  private readonly ending = new Set<Promise<void>>();
  private closed = false;
  private lastGone: () => void = () => undefined;

  constructor(private readonly options: PoolOptions<C>) {}

  async acquire(): Promise<C> {
    for (;;) {
      if (this.closed) throw closedError();
      const found = this.idle.pop();
      if (found === undefined) break;
      clearTimeout(found.timer);
      if (found.connection.usable) {
        found.connection.hold(true);
        return found.connection;
      }
      this.drop(found.connection);
    }
    return this.size < this.options.max ? this.make() : this.wait();
  }

  /** `broken`: it is in no state to be used again. */
  release(connection: C, broken = false): void {
    const old = this.born.get(connection) !== this.age;
    if (broken || old || !connection.usable || this.closed) return this.drop(connection, broken);
    const waiter = this.waiting.shift();
    if (waiter !== undefined) return this.serve(waiter, connection);
    connection.hold(false);
    const timer = setTimeout(() => this.retire(connection), IDLE_MS);
    timer.unref();
    this.idle.push({ connection, timer });
  }

  /** The server behind them is not the right one any more: no connection made so far is used again. */
  forget(): void {
    this.age++;
    for (const { connection, timer } of this.idle.splice(0)) {
      clearTimeout(timer);
      this.drop(connection);
    }
  }

  /** Resolves when the last one has been given back and closed. */
  async close(): Promise<void> {
    this.closed = true;
    for (const waiter of this.waiting.splice(0)) this.refuse(waiter, closedError());
    this.forget();
    if (this.size > 0) await new Promise<void>((resolve) => (this.lastGone = resolve));
    await Promise.all(this.ending);
  }

  private async make(): Promise<C> {
    this.size++;
    const { age } = this;
    try {
      const connection = await this.options.open();
      this.born.set(connection, age);
      if (!this.closed) return connection;
      this.drop(connection);
    } catch (error) {
      this.shrink();
      // Nobody else would fare better, and each would wait for the same again.
      for (const waiter of this.waiting.splice(0)) this.refuse(waiter, error);
      throw error;
    }
    throw closedError();
  }

  private wait(): Promise<C> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(waiter), 1);
        reject(this.exhausted());
      }, WAIT_MS);
      const waiter: Waiter<C> = { resolve, reject, timer };
      this.waiting.push(waiter);
    });
  }

  private exhausted(): DatabaseError {
    const { label, max } = this.options;
    return new DatabaseError(
      "QUDO_DATABASE_BUSY",
      `${label}: all ${max} connections were in use for ${WAIT_MS / 1_000} s. Give more \`connections\`, or look for what slows the server.`,
      true,
    );
  }

  private serve({ resolve, timer }: Waiter<C>, connection: C): void {
    clearTimeout(timer);
    resolve(connection);
  }

  private refuse({ reject, timer }: Waiter<C>, error: unknown): void {
    clearTimeout(timer);
    reject(error);
  }

  private retire(connection: C): void {
    const at = this.idle.findIndex((one) => one.connection === connection);
    if (at < 0) return;
    this.idle.splice(at, 1);
    this.drop(connection);
  }

  private drop(connection: C, broken = false): void {
    this.born.delete(connection);
    if (broken || !connection.usable) connection.destroy();
    else {
      // Somebody may be waiting for its end: a process with nothing else to do would not.
      connection.hold(true);
      const end: Promise<void> = connection.end().finally(() => this.ending.delete(end));
      this.ending.add(end);
    }
    this.shrink();
    this.replace();
  }

  private shrink(): void {
    this.size--;
    if (this.size === 0) this.lastGone();
  }

  /** Somebody may be waiting for the place that has become free. */
  private replace(): void {
    if (this.closed || this.size >= this.options.max) return;
    const waiter = this.waiting.shift();
    if (waiter === undefined) return;
    this.make().then(
      (connection) => this.serve(waiter, connection),
      (error: unknown) => this.refuse(waiter, error),
    );
  }
}

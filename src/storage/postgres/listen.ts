/**
 * Wake-ups: one connection that listens, and that is watched. What is lost while it is not there is found by polling, and
 * whoever waits is woken once when it is back. It keeps no process alive.
 *
 *     off → connecting → listening ⇄ (asked every 10 s whether it still does)
 *              ↑ longer and longer pauses   ↓ it broke, does not answer, or does not listen any more
 *              └────────────────────────────┘
 */
import type { Connection } from "./connection.js";

export interface ListenerOptions {
  readonly channel: string;
  /** Words of ours wake nobody here. */
  readonly self: string;
  connect(): Promise<Connection>;
}

const CHECK_EVERY_MS = 10_000;
const ANSWER_MS = 3_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

export class Listener {
  private readonly waiting = new Set<() => void>();
  private connection: Connection | null = null;
  private hears = false;
  /** Counts the beginnings: what belongs to an earlier one has nothing to say any more. */
  private life = 0;
  private timer: NodeJS.Timeout | undefined;
  private failures = 0;

  constructor(private readonly options: ListenerOptions) {}

  /** What is said now is heard, as far as is known. */
  get listening(): boolean {
    return this.hears;
  }

  /** The first one starts it, the last one that leaves ends it. */
  subscribe(onChange: () => void): () => void {
    const waiter = (): void => onChange();
    this.waiting.add(waiter);
    if (this.waiting.size === 1) void this.start(++this.life);
    return () => {
      if (this.waiting.delete(waiter) && this.waiting.size === 0) this.stop();
    };
  }

  close(): void {
    this.waiting.clear();
    this.stop();
  }

  private stop(): void {
    this.life++;
    this.hears = false;
    clearTimeout(this.timer);
    const { connection } = this;
    this.connection = null;
    void connection?.end().catch(() => connection.destroy());
  }

  private async start(life: number): Promise<void> {
    try {
      const connection = await this.options.connect();
      if (life !== this.life) return connection.destroy();
      this.connection = connection;
      connection.hold(false);
      connection.onNotification((channel, word) => this.heard(life, channel, word));
      connection.onLost(() => this.lost(life));
      await this.listen(connection);
      if (life !== this.life) return;
      this.failures = 0;
      this.hears = true;
      this.wake();
      this.planCheck(life, connection);
    } catch {
      this.lost(life);
    }
  }

  private async listen(connection: Connection): Promise<void> {
    await connection.send({ text: `listen "${this.options.channel}"` }, ANSWER_MS);
    await this.check(connection);
  }

  /** A pooler may have taken the word and forgotten it, or given the session to somebody else. */
  private async check(connection: Connection): Promise<void> {
    const text = "select count(*)::int as n from pg_listening_channels() c where c = $1";
    const { rows } = await connection.send({ text, values: [this.options.channel] }, ANSWER_MS);
    if ((rows[0] as { n: number }).n !== 1) throw new Error("nobody listens here");
  }

  private planCheck(life: number, connection: Connection): void {
    this.timer = setTimeout(() => {
      this.check(connection).then(
        () => life === this.life && this.planCheck(life, connection),
        () => this.lost(life),
      );
    }, CHECK_EVERY_MS);
    this.timer.unref();
  }

  private heard(life: number, channel: string, word: string): void {
    if (life === this.life && channel === this.options.channel && word !== this.options.self)
      this.wake();
  }

  private lost(life: number): void {
    if (life !== this.life) return;
    const next = ++this.life;
    this.hears = false;
    clearTimeout(this.timer);
    this.connection?.destroy();
    this.connection = null;
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.failures++, 10));
    this.timer = setTimeout(() => void this.start(next), longest * (0.5 + Math.random() / 2));
    this.timer.unref();
  }

  private wake(): void {
    for (const waiter of this.waiting) waiter();
  }
}

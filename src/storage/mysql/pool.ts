/** A few connections, kept for whoever needs one next. */

/** How connections are made and ended. */
export interface Making<C> {
  /** At most so many at once. */
  readonly most: number;
  open(): Promise<C>;
  /** Says goodbye to one that nobody uses. */
  end(connection: C): Promise<void>;
}

/** Whoever asks when all are in use waits in line. */
export class Pool<C> {
  private readonly idle: C[] = [];
  private readonly waiting: { resolve(connection: C): void; reject(error: unknown): void }[] = [];
  /** Open ones and those being opened, in use or not. */
  private count = 0;
  private emptied: (() => void) | undefined;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly making: Making<C>,
    private readonly closedError: () => Error,
  ) {}

  acquire(): Promise<C> {
    if (this.closing !== undefined) return Promise.reject(this.closedError());
    // The one used last: those that are never needed stay idle, and the server may end them.
    const connection = this.idle.pop();
    if (connection !== undefined) return Promise.resolve(connection);
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      if (this.count < this.making.most) void this.openOne();
    });
  }

  /** It is in good order, and between two transactions. */
  release(connection: C): void {
    const next = this.waiting.shift();
    if (next !== undefined) return next.resolve(connection);
    if (this.closing === undefined) this.idle.push(connection);
    else void this.making.end(connection).finally(() => this.gone());
  }

  /** It is broken, and was in use. */
  discard(): void {
    this.gone();
    if (this.waiting.length > 0) void this.openOne();
  }

  /** It broke while nobody used it. */
  drop(connection: C): void {
    const at = this.idle.indexOf(connection);
    if (at < 0) return;
    this.idle.splice(at, 1);
    this.gone();
  }

  /** Waits for those in use, and for those who wait for one. */
  close(): Promise<void> {
    return (this.closing ??= (async () => {
      const { idle, making } = this;
      const ended = idle.splice(0).map((connection) => making.end(connection));
      await Promise.all(ended.map((end) => end.finally(() => this.gone())));
      if (this.count > 0) await new Promise<void>((resolve) => (this.emptied = resolve));
    })());
  }

  private async openOne(): Promise<void> {
    this.count++;
    try {
      const connection = await this.making.open();
      this.release(connection);
    } catch (error) {
      this.gone();
      // While others are in use they will come back, or be replaced; with none there is nothing to wait for.
      if (this.count === 0) for (const { reject } of this.waiting.splice(0)) reject(error);
    }
  }

  private gone(): void {
    this.count--;
    if (this.count === 0) this.emptied?.();
  }
}

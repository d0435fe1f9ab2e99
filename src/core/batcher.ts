/**
 * Natural batching, without timers: while one batch is on its way the next calls gather, then they go together. A lone
 * call waits for nobody but the end of this turn of the event loop, in which its company arrives.
 */
export interface BatchLimits<Item> {
  readonly items: number;
  readonly bytes: number;
  readonly sizeOf: (item: Item) => number;
}

/** The event loop, as it is needed here. */
export interface Turns {
  /** In the next turn. */
  soon(then: () => void): void;
}

/** For those who wait only so long behind one batch. */
export interface Patience {
  /** Monotonic, in milliseconds. */
  now(): number;
  /** After so many milliseconds, unless it is taken back by what is returned. */
  later(then: () => void, ms: number): () => void;
  /** What a call is told whose patience has ended: it has not left, and never will. */
  ended(): Error;
}

interface Call<Item, Outcome> {
  readonly item: Item;
  readonly since: number;
  readonly patienceMs: number;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

export class Batcher<Item, Outcome> {
  private waiting: Call<Item, Outcome>[] = [];
  private busy = false;
  private sentAt = 0;
  private cancelLook: (() => void) | null = null;
  private readonly idle: (() => void)[] = [];

  constructor(
    private readonly send: (items: Item[]) => Promise<readonly Outcome[]>,
    private readonly limits: BatchLimits<Item>,
    private readonly turns: Turns,
    private readonly patience: Patience = ENDLESS,
  ) {}

  /**
   * Resolves after the commit that holds this item. It waits in line for as long as that moves, but no longer than `patienceMs`
   * behind one batch that is on its way. Default: for ever.
   * @throws what `patience.ended` makes.
   */
  add(item: Item, patienceMs = Infinity): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const since = this.patience.now();
      this.waiting.push({ item, since, patienceMs, resolve, reject });
      if (this.busy) return this.lookAfter(patienceMs);
      this.busy = true;
      this.turns.soon(() => void this.pump());
    });
  }

  /** Resolves when nothing is waiting or under way. */
  async settled(): Promise<void> {
    if (this.busy) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  private async pump(): Promise<void> {
    while (this.waiting.length > 0) {
      await this.sendBatch(this.takeBatch());
      // Let the callers of this batch come back with their next call before the next one leaves.
      await new Promise<void>((resolve) => this.turns.soon(resolve));
    }
    this.busy = false;
    for (const resolve of this.idle.splice(0)) resolve();
  }

  private takeBatch(): Call<Item, Outcome>[] {
    const { items, bytes, sizeOf } = this.limits;
    let size = 0;
    let n = 0;
    while (n < this.waiting.length && n < items) {
      size += sizeOf(this.waiting[n]!.item);
      if (size > bytes && n > 0) break;
      n++;
    }
    const batch = this.waiting.slice(0, n);
    this.waiting = this.waiting.slice(n);
    if (this.waiting.length === 0) this.lookNoMore();
    this.sentAt = this.patience.now();
    return batch;
  }

  /** One timer for all that wait: the first that may lose its patience. */
  private lookAfter(ms: number): void {
    if (ms === Infinity || this.cancelLook !== null) return;
    this.cancelLook = this.patience.later(() => this.look(), ms);
  }

  private lookNoMore(): void {
    this.cancelLook?.();
    this.cancelLook = null;
  }

  private look(): void {
    this.cancelLook = null;
    const now = this.patience.now();
    const leftOf = ({ since, patienceMs }: Call<Item, Outcome>): number =>
      Math.max(since, this.sentAt) + patienceMs - now;
    const tired = this.waiting.filter((call) => leftOf(call) <= 0);
    this.waiting = this.waiting.filter((call) => leftOf(call) > 0);
    for (const call of tired) call.reject(this.patience.ended());
    this.lookAfter(this.waiting.reduce((least, call) => Math.min(least, leftOf(call)), Infinity));
  }

  private async sendBatch(batch: readonly Call<Item, Outcome>[]): Promise<void> {
    try {
      const outcomes = await this.send(batch.map((call) => call.item));
      batch.forEach((call, i) => call.resolve(outcomes[i]!));
    } catch (error) {
      for (const call of batch) call.reject(error);
    }
  }
}

const ENDLESS: Patience = {
  now: () => 0,
  later: () => () => undefined,
  ended: () => new Error("never"),
};

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

/** The same with time, for whoever waits only so long. */
export interface Time extends Turns {
  /** Monotonic, in milliseconds. */
  now(): number;
  /** After so many milliseconds, unless it is taken back by what is returned. */
  later(then: () => void, ms: number): () => void;
}

interface Call<Item, Outcome> {
  readonly item: Item;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
  /** When it has left, or was taken back. */
  settle(): void;
}

export class Batcher<Item, Outcome> {
  private waiting: Call<Item, Outcome>[] = [];
  private busy = false;
  private readonly idle: (() => void)[] = [];

  constructor(
    private readonly send: (items: Item[]) => Promise<readonly Outcome[]>,
    private readonly limits: BatchLimits<Item>,
    private readonly turns: Turns,
  ) {}

  /** Resolves after the commit that holds this item. */
  add(item: Item): Promise<Outcome> {
    return this.put(item, noop);
  }

  /**
   * The same, but it waits only so long behind others.
   * @throws what `tooLate` makes, when it has not left by then: it never will.
   */
  addWithin(item: Item, ms: number, time: Time, tooLate: () => Error): Promise<Outcome> {
    // It leaves at the end of this turn: there is nothing to wait behind.
    if (!this.busy) return this.put(item, noop);
    const cancel = time.later(() => this.takeBack(item, tooLate()), ms);
    return this.put(item, cancel);
  }

  /** Resolves when nothing is waiting or under way. */
  async settled(): Promise<void> {
    if (this.busy) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  private put(item: Item, settle: () => void): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject, settle });
      if (this.busy) return;
      this.busy = true;
      this.turns.soon(() => void this.pump());
    });
  }

  private takeBack(item: Item, error: Error): void {
    const at = this.waiting.findIndex((call) => call.item === item);
    if (at < 0) return;
    const [call] = this.waiting.splice(at, 1);
    call!.reject(error);
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
    for (const call of batch) call.settle();
    return batch;
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

const noop = (): void => undefined;

/**
 * Natural batching, without timers: while one batch is on its way the next calls gather, then they go together. A lone
 * call waits for nobody but the end of this turn of the event loop, in which its company arrives.
 */
export interface BatchLimits<Item> {
  readonly items: number;
  readonly bytes: number;
  readonly sizeOf: (item: Item) => number;
}

interface Call<Item, Outcome> {
  readonly item: Item;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

export class Batcher<Item, Outcome> {
  private waiting: Call<Item, Outcome>[] = [];
  private busy = false;
  private readonly idle: (() => void)[] = [];

  constructor(
    private readonly send: (items: Item[]) => Promise<readonly Outcome[]>,
    private readonly limits: BatchLimits<Item>,
  ) {}

  /** Resolves after the commit that holds this item. */
  add(item: Item): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      if (this.busy) return;
      this.busy = true;
      setImmediate(() => void this.pump());
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
      await new Promise((resolve) => setImmediate(resolve));
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

/** A gate before every statement of one actor: they go through one at a time, and before a given one the actor stops. */
import type { Body, Database, Tx } from "../../../src/storage/sql/database.js";

export class Gate {
  private statement = 0;
  private pauseAt = 0;
  private onPause: () => void = () => undefined;
  private resumed: Promise<void> = Promise.resolve();
  private open: () => void = () => undefined;
  private last: Promise<unknown> = Promise.resolve();

  /** From here on statements are counted anew; resolves when the one before which to stop has come. 0: nowhere. */
  arm(pauseAt: number): Promise<void> {
    this.statement = 0;
    this.pauseAt = pauseAt;
    this.resumed = new Promise((resolve) => (this.open = resolve));
    return new Promise((resolve) => (this.onPause = resolve));
  }

  resume(): void {
    this.open();
  }

  /** `alive`: false once the transaction is over; what was still waiting then is not sent any more. */
  pass<T>(send: () => Promise<T>, alive: () => boolean): Promise<T> {
    const sent = this.last.then(async () => {
      if (++this.statement === this.pauseAt) {
        this.onPause();
        await this.resumed;
      }
      if (!alive()) throw new Error("the transaction is over");
      return send();
    });
    this.last = sent.catch(() => undefined);
    return sent;
  }
}

/** The same database, every statement of it through the gate, the commit too. */
export function gated(db: Database, gate: Gate): Database {
  const through =
    <T>(body: Body<T>): Body<T> =>
    async (tx, now) => {
      let over = false;
      try {
        const value = await body(
          gatedTx(tx, gate, () => !over),
          now,
        );
        await gate.pass(
          async () => undefined,
          () => true,
        );
        return value;
      } finally {
        over = true;
      }
    };
  return {
    label: db.label,
    transaction: (body) => db.transaction(through(body)),
    snapshot: (body) => db.snapshot(through(body)),
    look: (body) => db.look((tx) => body(gatedTx(tx, gate, () => true))),
    close: () => db.close(),
  };
}

function gatedTx(tx: Tx, gate: Gate, alive: () => boolean): Tx {
  return {
    all: (query, shape) => gate.pass(() => tx.all(query, shape), alive),
    run: (query) => gate.pass(() => tx.run(query), alive),
    announce: () => tx.announce(),
  };
}

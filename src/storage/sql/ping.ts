/** Whether the database takes writes, proved by one that is rolled back. */
import { DatabaseError } from "../../core/errors.js";
import type { Engine } from "./engine.js";

class Rehearsed extends Error {
  constructor(readonly now: number) {
    super("rolled back on purpose");
  }
}

/** One row more in the counts, and rolled back: all that work or add jobs may write there. Who may only look is told the time. */
export async function ping({ db, dialect, self }: Engine): Promise<{ now: number }> {
  const nothing = { minute: 0, lane: 0, event: 0, session: self, n: 0 };
  let time = 0;
  try {
    return await db.transaction(async (tx, now) => {
      time = now;
      await tx.run(dialect.addToTally([nothing]));
      throw new Rehearsed(now);
    });
  } catch (error) {
    if (error instanceof Rehearsed) return { now: error.now };
    if (error instanceof DatabaseError && error.code === "QUDO_DATABASE_DENIED")
      return { now: time };
    throw error;
  }
}

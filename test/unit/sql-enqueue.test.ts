import { describe, expect, test } from "vitest";
import type { InsertOutcome } from "../../src/storage/driver.js";
import { insertJobs } from "../../src/storage/sql/enqueue.js";
import type { Engine } from "../../src/storage/sql/engine.js";
import { ConflictError } from "../../src/storage/sql/errors.js";
import { jobOf } from "./several/support.js";

const BUSY = new ConflictError("QUDO_DATABASE_BUSY", "Others have the key.", true);

/** Its transactions answer so, one after the other. */
function engineWith(...answers: (InsertOutcome[] | Error)[]): Engine {
  const transaction = async (): Promise<InsertOutcome[]> => {
    const answer = answers.shift()!;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return {
    db: { transaction },
    dialect: { uniqueKeysInSets: false },
    lanes: { ids: async () => new Map() },
  } as unknown as Engine;
}

const keyed = () => [jobOf({ uniqueKey: "one" }), jobOf({ uniqueKey: "two" })];

describe("jobs with keys, where each has a transaction of its own", () => {
  test("when the first one fails nothing has happened", async () => {
    const engine = engineWith(BUSY);
    await expect(insertJobs(engine, keyed())).rejects.toBe(BUSY);
    expect(BUSY.happened).toBe("no");
  });

  test("when one fails after others were committed, something has", async () => {
    const engine = engineWith([{ status: "inserted" }], BUSY);
    const failed = insertJobs(engine, keyed());
    await expect(failed).rejects.toBeInstanceOf(ConflictError);
    await expect(failed).rejects.toMatchObject({ ...BUSY, happened: "perhaps" });
  });
});

/**
 * What the hot path of SQLite costs, in what is stable: statements per job. A step more for each job is a tenth of the rate and more
 * (docs/internals.md, "Speed comes from sets"), and no clock is needed to see it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { afterSuccess } from "../../src/core/outcome.js";
import { openDatabase } from "../../src/storage/open.js";
import type { HandleLike } from "../../src/storage/sqlite/index.js";
import { drain, OPERATIONS } from "../../src/testing/conformance/sets.js";
import { times } from "../../src/testing/conformance/harness.js";
import { Harness, settlement } from "../../src/testing/index.js";
import { openHandle } from "./support/handle.js";

type Prepare = (typeof OPERATIONS)[string];

/** One trip of a worker under load: what it holds is settled, and as much is claimed. */
const trip: Prepare = async (h, n) => {
  await h.enqueueAll(times(2 * n, () => ({})));
  const worker = await h.worker();
  const held = await worker.claim({ limit: n });
  const done = held.map((job) => settlement(job, afterSuccess(job)));
  return () => worker.trip([worker.group(held[0]!.lease, done)], { limit: n });
};

test.each<[what: string, perJob: number, prepare: Prepare]>([
  ["an enqueue: the job, and where it waits", 2, OPERATIONS["insertJobs"]!],
  ["a claim: nothing for each job", 0, OPERATIONS["claim"]!],
  ["a settle: the outcome", 1, OPERATIONS["settle"]!],
  ["a trip: the outcome", 1, trip],
])("%s (%i a job)", async (_, perJob, prepare) => {
  const [ten, hundred] = [await statementsOf(prepare, 10), await statementsOf(prepare, 100)];
  expect((hundred - ten) / 90).toBe(perJob);
});

async function statementsOf(prepare: Prepare, n: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "qudo-statements-"));
  const counted = counting(await openHandle(join(folder, "jobs.db")));
  const connect = () => openDatabase({ handle: counted.handle });
  const driver = await connect();
  const h = new Harness({ driver, connect, close: () => driver.close() });
  try {
    await driver.migrate();
    await h.enqueueAll([{ kind: "mail" }]);
    await drain(h);
    const work = await prepare(h, n);
    const before = counted.statements();
    await work();
    return counted.statements() - before;
  } finally {
    await h.end();
    await driver.close();
    counted.handle.close!();
    rmSync(folder, { recursive: true });
  }
}

function counting(handle: HandleLike): { handle: HandleLike; statements(): number } {
  let n = 0;
  const count = <T>(result: T): T => (n++, result);
  return {
    statements: () => n,
    handle: {
      exec: (sql) => count(handle.exec(sql)),
      prepare(sql) {
        const statement = handle.prepare(sql);
        return {
          run: (...values) => count(statement.run(...values)),
          get: (...values) => count(statement.get(...values)),
          all: (...values) => count(statement.all(...values)),
        };
      },
      close: () => handle.close!(),
      get isTransaction() {
        return handle.isTransaction;
      },
      get inTransaction() {
        return handle.inTransaction;
      },
    },
  };
}

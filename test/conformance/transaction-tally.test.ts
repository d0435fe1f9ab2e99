/** What is enqueued or completed in a user's transaction is counted with its commit, and not at all when it is rolled back. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openTransaction } from "../../src/storage/open.js";
import { openSqlite } from "../../src/storage/sqlite/index.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { TestWorker } from "../../src/testing/conformance/worker.js";
import { openHandle } from "./support/handle.js";

test("counts commit and roll back with the user's transaction", async () => {
  const folder = mkdtempSync(join(tmpdir(), "qudo-tally-"));
  const path = join(folder, "app.db");
  const driver = await openSqlite({ path });
  await driver.migrate();
  const handle = await openHandle(path);
  const tx = openTransaction(handle, `sqlite:${path}`);
  // Over all minutes: one may turn while this runs.
  const counted = async (): Promise<Record<string, number>> => {
    const sums: Record<string, number> = {};
    for (const { event, n } of await driver.tally(0)) sums[event] = (sums[event] ?? 0) + n;
    return sums;
  };

  for (const end of ["rollback", "commit"]) {
    handle.exec("begin immediate");
    tx.insertJobs([newJob()]);
    tx.insertJobs([newJob()]);
    handle.exec(end);
  }
  expect(await counted()).toEqual({ enqueued: 2 });

  const worker = await TestWorker.open(driver);
  const held = await worker.claimOne();
  for (const end of ["rollback", "commit"]) {
    handle.exec("begin immediate");
    tx.complete(held, { elapsedMs: 1, result: null });
    handle.exec(end);
  }
  expect(await worker.fail(held, 0, { completed: true })).toBe("accepted");
  expect(await counted()).toEqual({ enqueued: 2, done: 1 });

  await driver.close();
  handle.close();
  rmSync(folder, { recursive: true });
});

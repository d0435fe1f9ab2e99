/** What real databases refuse, in the words of the product: nothing was written, and work goes on when the cause is gone. */
import { expect, test } from "vitest";
import { defineJob, Qudo } from "../../src/index.js";
import { openSqlite } from "../../src/storage/sqlite/index.js";
import {
  attemptsOf,
  closing,
  expectSound,
  newPath,
  newQudo,
  order,
  refused,
  totals,
  until,
  watchedHandle,
} from "./support.js";

const note = defineJob("note", { run: (_payload: unknown) => undefined });

/** A queue on a real handle of the test's own, which can be set to refuse. */
async function onHandle(): Promise<{ qudo: Qudo; exec(sql: string): void }> {
  const { handle } = watchedHandle();
  const qudo = closing(new Qudo({ databases: { handle }, jobs: [note] }));
  await qudo.enqueue(note, "first");
  return { qudo, exec: (sql) => void handle.exec(sql) };
}

test("a database that cannot be written: QUDO_DATABASE_READ_ONLY", async () => {
  const { qudo, exec } = await onHandle();
  exec("pragma query_only=on");
  const error = await refused(qudo.enqueue(note, "second"));
  expect(error).toMatchObject({ code: "QUDO_DATABASE_READ_ONLY", transient: false });
  exec("pragma query_only=off");
  await qudo.enqueue(note, "third");
  expect(await totals(qudo)).toMatchObject({ pending: 2 });
  await expectSound(qudo);
});

test("a file that may not grow: QUDO_DATABASE_FULL, and room again", async () => {
  const { qudo, exec } = await onHandle();
  exec("pragma max_page_count=1");
  let added = 1;
  const error = await refused(
    (async () => {
      for (; ; added++) await qudo.enqueue(note, "x".repeat(10_000));
    })(),
  );
  expect(error).toMatchObject({ code: "QUDO_DATABASE_FULL", transient: true });
  exec("pragma max_page_count=1073741823");
  await qudo.enqueue(note, "room again");
  expect(await totals(qudo)).toMatchObject({ pending: added + 1 });
  await expectSound(qudo);
});

test("a statement that is refused: QUDO_DATABASE_FAILED, with its cause", async () => {
  const { qudo, exec } = await onHandle();
  exec("alter table qudo_job rename to somewhere_else");
  const error = await refused(qudo.enqueue(note, "second"));
  expect(error).toMatchObject({ code: "QUDO_DATABASE_FAILED", transient: false });
  expect((error.cause as Error).message).toContain("qudo_job");
  exec("alter table somewhere_else rename to qudo_job");
  await qudo.enqueue(note, "third");
  await expectSound(qudo);
});

test("a database that others hold: QUDO_DATABASE_BUSY, and the same call again", async () => {
  const path = newPath();
  const driver = await openSqlite({ path, busyDeadlineMs: 50 });
  await driver.migrate();
  const other = watchedHandle(path).handle;
  other.exec("begin immediate");
  const job = order("note");
  const error = await refused(driver.insertJobs([job]));
  expect(error).toMatchObject({ code: "QUDO_DATABASE_BUSY", transient: true });
  other.exec("rollback");
  expect(await driver.insertJobs([job])).toEqual([{ status: "inserted" }]);
  await driver.close();
  other.close();
});

test("a job that its handler gave up: QUDO_JOB_ABORTED, kept with the run", async () => {
  const hopeless = defineJob("hopeless", { run: (_: null, job) => job.abort("no such page") });
  const qudo = newQudo([hopeless]);
  const { id } = await qudo.enqueue(hopeless, null);
  await qudo.work();
  await until("it is abandoned", async () => (await qudo.jobs.get(id))?.state === "abandoned");
  const [attempt] = await attemptsOf(qudo, id);
  expect(attempt).toMatchObject({ state: "abandoned", reason: "aborted" });
  expect(attempt!.error).toContain("[QUDO_JOB_ABORTED]");
  expect(attempt!.error).toContain("no such page");
});

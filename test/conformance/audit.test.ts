/** Every law ends with an audit: here it is shown to see each invariant broken in the data, and nothing in sound data. */
import { expect, test } from "vitest";
import type { Violation } from "../../src/storage/driver.js";
import type { HandleLike } from "../../src/storage/sqlite/index.js";
import { Harness, newJob } from "../../src/testing/index.js";
import { sqliteMemory } from "./support/fixture.js";

interface Damage {
  invariant: Violation["invariant"];
  what: string;
  sql: string;
}

const DAMAGES: readonly Damage[] = [
  { invariant: "I1", what: "a living job stands nowhere", sql: "delete from qudo_ready" },
  {
    invariant: "I1",
    what: "a job stands in two places",
    sql: "insert into qudo_delayed (run_at, id, lane, prio, run, fails, crashes) select run_at, id, lane, prio, run, fails, crashes from qudo_ready",
  },
  {
    invariant: "I1",
    what: "a job that has ended still waits",
    sql: "insert into qudo_ready (lane, prio, run_at, id, run, fails, crashes) select j.lane, j.prio, j.run_at, j.id, o.run + 1, 0, 0 from qudo_job j join qudo_outcome o on o.job_id = j.id where o.state = 1",
  },
  {
    invariant: "I1",
    what: "a waiting row has no job",
    sql: "delete from qudo_job where id in (select id from qudo_ready)",
  },
  {
    invariant: "I1",
    what: "a run that nobody holds is shown as running",
    sql: "insert into qudo_running (job_id, run, worker, started_at) select id, run, id, 0 from qudo_ready",
  },
  {
    invariant: "I2",
    what: "a waiting row has skipped a run",
    sql: "update qudo_ready set run = run + 1",
  },
  {
    invariant: "I2",
    what: "a waiting row is not where its locator looks",
    sql: "update qudo_ready set prio = prio - 1",
  },
  {
    invariant: "I3",
    what: "a run was accepted after the end",
    sql: "insert into qudo_outcome (job_id, run, state, lane, writer, ended_at, fails, crashes) select job_id, run + 1, 1, lane, writer, ended_at, 0, 0 from qudo_outcome where state = 1",
  },
  {
    invariant: "I3",
    what: "a lease belongs to no session",
    sql: "delete from qudo_worker where id in (select worker from qudo_lease)",
  },
  {
    invariant: "I4",
    what: "a job that has ended holds a key",
    sql: "insert into qudo_unique_key (hash, job_id) select x'00', job_id from qudo_outcome where state = 1",
  },
  {
    invariant: "I4",
    what: "a living job has lost its key",
    sql: "delete from qudo_unique_key",
  },
  {
    invariant: "I5",
    what: "a job that a lease lists was deleted",
    sql: "delete from qudo_job where id not in (select id from qudo_ready) and id not in (select job_id from qudo_outcome)",
  },
  {
    invariant: "I6",
    what: "a job is ready before it is due",
    sql: "update qudo_job set run_at = run_at + 60000; update qudo_ready set run_at = run_at + 60000",
  },
  {
    invariant: "I6",
    what: "a run started after it ended",
    sql: "update qudo_outcome set started_at = ended_at + 60000",
  },
];

/** A database with one job that is done, one that is held, and one that waits with a unique key. */
async function openPopulated() {
  let handle: HandleLike | undefined;
  const fixture = sqliteMemory({
    wrap: (driver, db) => {
      handle = db;
      return driver;
    },
  });
  const database = await fixture.open();
  await database.driver.migrate();
  const h = new Harness(database);
  const worker = await h.worker();
  await database.driver.insertJobs([2, 1].map((priority) => newJob({ priority })));
  await worker.done(await worker.claimOne());
  await worker.claimOne();
  await h.enqueue({ uniqueKey: "k" });
  return { database, handle: handle! };
}

test("sound data has no violations", async () => {
  const { database } = await openPopulated();
  expect(await database.driver.audit()).toEqual([]);
  await database.close();
});

test.each(DAMAGES)("$invariant: $what", async ({ invariant, sql }) => {
  const { database, handle } = await openPopulated();
  handle.exec("pragma foreign_keys=off");
  handle.exec(sql);
  const found = await database.driver.audit();
  expect(found.map((violation) => violation.invariant)).toContain(invariant);
  await database.close();
});

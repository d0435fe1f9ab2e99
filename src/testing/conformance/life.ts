/** Laws about tables, versions and time. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newJob, within } from "./harness.js";
import type { Law } from "./law.js";

export const lifeLaws: readonly Law[] = [
  {
    id: "life.migrate-again",
    law: "Migrating creates the tables once; migrating again changes nothing and says so.",
    unmigrated: true,
    async run(h) {
      equal(await h.driver.schemaVersion(), null, "an empty database has no version");
      const first = await h.driver.migrate();
      equal(first.from, null);
      equal(await h.driver.schemaVersion(), first.to);
      const id = await h.enqueue();
      deepEqual(await h.driver.migrate(), { from: first.to, to: first.to });
      await h.assertState(id, "pending");
    },
  },
  {
    id: "life.migration-sql",
    law: "What a migration would do can be read before, which changes nothing; after it there is nothing to do.",
    unmigrated: true,
    async run(h) {
      const text = await h.driver.migrationSql();
      match(text, /create table[^;]*job\W/i, "the tables stand in it");
      match(text, /insert into[^;]*schema_version/i, "and that they were made");
      equal(await h.driver.schemaVersion(), null, "nothing was made");
      await h.driver.migrate();
      equal(await h.driver.migrationSql(), "", "nothing is left to do");
    },
  },
  {
    id: "life.migrate-together",
    law: "Of many processes that migrate at once one does it, the others find it done.",
    unmigrated: true,
    async run(h) {
      const drivers = [h.driver, await h.connect(), await h.connect()];
      const reports = await Promise.all(drivers.map((driver) => driver.migrate()));
      equal(reports.filter((report) => report.from === null).length, 1, "one of them did it");
      equal(new Set(reports.map((report) => report.to)).size, 1, "all are at one version");
      await h.enqueue();
    },
  },
  {
    id: "life.database-time",
    law: "Every moment that is stored or answered is the database's.",
    requires: ["clock"],
    async run(h) {
      const enqueuedAt = h.clock.now();
      const id = await h.enqueue();
      h.clock.advance(5_000);
      equal((await h.driver.ping()).now, h.clock.now(), "ping");
      equal(await h.driver.time(), h.clock.now(), "its time");
      const worker = await h.worker();
      equal((await h.driver.sessions())[0]!.startedAt, h.clock.now(), "start of the session");
      const held = await worker.claimOne();
      h.clock.advance(5_000);
      await worker.done(held, { elapsedMs: 2_000 });
      const job = await h.job(id);
      equal(job.createdAt, enqueuedAt, "creation");
      equal(held.createdAt, enqueuedAt, "creation, as claimed");
      equal(job.last!.endedAt, h.clock.now(), "end of the run");
      equal(job.last!.startedAt, h.clock.now() - 2_000, "start of the run");
    },
  },
  {
    id: "life.wakeups",
    law: "An engine that promises wake-ups calls back after another connection has written.",
    requires: ["wakeups"],
    async run(h) {
      const { driver } = h;
      ok(driver.capabilities.wakeups && driver.subscribe, "it says that it has wake-ups");
      const other = await h.connect();
      let stop: (() => void) | undefined;
      const woken = new Promise<void>((wake) => {
        stop = driver.subscribe!(wake);
      });
      try {
        await other.insertJobs([newJob()]);
        await within(2_000, "a wake-up", woken);
      } finally {
        stop?.();
      }
    },
  },
];

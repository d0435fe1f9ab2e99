/** Roles with the least rights: each can do its work, and nothing of the others'. */
import { describe, expect, test } from "vitest";
import { openMysql } from "../../src/storage/mysql/index.js";
import { grants } from "../../src/storage/mysql/grants.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { TestWorker } from "../../src/testing/conformance/worker.js";
import { mysqlSettings } from "../conformance/support/mysql.js";
import { OWNS } from "../conformance/support/roles.js";
import { errorOf, KINDS_HERE, openPlace } from "./support.js";

async function denied(doing: Promise<unknown>): Promise<void> {
  expect(await errorOf(doing)).toMatchObject({ code: "QUDO_DATABASE_DENIED" });
}

describe.each(KINDS_HERE)("on $name", ({ server: find }) => {
  test("each role does its own, and is denied the rest", { timeout: 60_000 }, async () => {
    await using place = await openPlace(await find(), { prefix: "g1_" });
    const { admin, url } = place;
    const database = new URL(url).pathname.slice(1);
    for (const statement of grants(database, "g1_").split(";\n"))
      if (statement.replaceAll(/--.*\n?/g, "").trim() !== "") await admin.query(statement);
    const as = async (role: string) => {
      const user = `${role}_${database.slice(-8)}`;
      await admin.query(`create user ${user}@'%' identified by 'secret'`);
      await admin.query(`grant 'g1_${role}' to ${user}@'%'`);
      const set = `set default role 'g1_${role}'`;
      await admin
        .query(`${set} for ${user}@'%'`)
        .catch(() => admin.query(`set default role 'g1_${role}' to ${user}@'%'`));
      return openMysql(mysqlSettings(url, { user, password: "secret", prefix: "g1_" }));
    };
    const produce = await as("produce");
    const job = newJob();
    const keyed = newJob({ uniqueKey: "k" });
    const later = newJob({ delayMs: 60_000 });
    await produce.insertJobs([job, keyed, later, newJob({ kind: "new" })]);
    expect(await produce.insertJobs([job])).toEqual([{ status: "duplicate" }]);
    expect((await produce.insertJobs([newJob({ uniqueKey: "k" })]))[0]!.status).toBe("unique");
    await produce.endings([job.id]);
    await produce.ping();
    await denied(produce.cancel([job.id]));
    await denied(TestWorker.open(produce));
    await denied(produce.listJobs({ limit: 10 }));

    const work = await as("work");
    const worker = await TestWorker.open(work);
    const held = await worker.claim({ limit: 10 });
    expect(held).toHaveLength(2);
    await worker.start(held[0]!);
    await worker.report(held[0]!, { progress: "1", lines: [worker.line(1, "x")] });
    expect(await worker.done(held[0]!)).toBe("accepted");
    expect(await worker.abort(held[1]!)).toBe("accepted");
    await worker.heartbeat();
    expect(await work.retry([held[1]!.job])).toEqual([{ status: "requeued" }]);
    expect(await work.cancel([held[1]!.job])).toEqual(["cancelled"]);
    await work.setPaused({ queue: "default", kind: null }, true);
    await work.promote(10);
    for (const scan of ["done", "other", "own", "counts"] as const)
      await work.prune({ scan, keepMs: 0, after: null, limit: 10 });
    await work.closeSession(worker.session);
    expect(await work.audit()).toEqual([]);

    const view = await as("view");
    expect((await view.listJobs({ limit: 10 })).rows.length).toBeGreaterThan(0);
    await view.counts({});
    await view.audit();
    await denied(view.insertJobs([newJob()]));
    await denied(view.cancel([later.id]));

    // Who the database is says its owner, and everybody is told.
    const { id } = await view.identify();
    for (const driver of [produce, work, view]) {
      for (const own of Object.values(OWNS)) await denied(own(driver));
      expect(await driver.identify("a")).toEqual({ id, name: null, mode: "active" });
    }
    const migrate = await as("migrate");
    for (const own of Object.values(OWNS)) await own(migrate);
    expect(await produce.identify("a")).toEqual({ id, name: "b", mode: "active" });
    expect(await migrate.migrate()).toEqual({ from: 2, to: 2 });
    await admin.query("drop table g1_tally");
    await admin.query("delete from g1_meta");
    expect(await migrate.migrate()).toEqual({ from: null, to: 2 });
    for (const driver of [produce, work, view, migrate]) await driver.close();
    for (const role of ["migrate", "produce", "work", "view"]) {
      await admin.query(`drop user ${role}_${database.slice(-8)}@'%'`);
      await admin.query(`drop role 'g1_${role}'`);
    }
  });
});

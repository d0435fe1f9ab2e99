/** Sixteen connections that get into each other's way as much as they can: whoever meets others begins again, and nobody hears of it. */
import type { Connection, RowDataPacket } from "mysql2/promise";
import { expect, test } from "vitest";
import { newJob, times } from "../../src/testing/conformance/harness.js";
import { TestWorker } from "../../src/testing/conformance/worker.js";
import type { Driver } from "../../src/storage/driver.js";
import { openMysql } from "../../src/storage/mysql/index.js";
import { mysqlSettings } from "../conformance/support/mysql.js";
import { administrator, KINDS_HERE, openPlace, type Place } from "./support.js";

const CONNECTIONS = 16;
const SECONDS = 20;
/** Few ids and few keys: everybody wants the same ones. */
const HOT = 20;

/** Deadlocks that the server has seen since it was started. */
async function deadlocks({ admin }: Place): Promise<number> {
  const [rows] = await admin.query<RowDataPacket[]>(
    "select count as n from information_schema.innodb_metrics where name = 'lock_deadlocks'",
  );
  return Number(rows[0]!["n"]);
}

const chance = (of: number): boolean => Math.random() * of < 1;
const shuffled = <T>(items: readonly T[]): T[] => items.toSorted(() => Math.random() - 0.5);

/** Adds, claims, settles and gives up, always among the same jobs. */
class Storm {
  readonly errors: unknown[] = [];
  done = 0;
  private readonly end = performance.now() + SECONDS * 1_000;
  private readonly ids: string[] = times(HOT, () => newJob().id);

  async rage(driver: Driver): Promise<void> {
    const worker = await TestWorker.open(driver);
    while (performance.now() < this.end)
      try {
        await this.round(driver, worker);
        this.done++;
      } catch (error) {
        this.errors.push(error);
      }
    await driver.reap([{ id: worker.session, beat: 0, cause: "gone", leaseMs: 0 }]);
  }

  /** Somebody's own statements, which lock in the opposite order whatever we may order. */
  async provoke(connection: Connection): Promise<void> {
    await connection.query("set session transaction isolation level read committed");
    while (performance.now() < this.end) {
      await connection.query("start transaction");
      try {
        for (const id of shuffled(this.ids).slice(0, 2).toSorted().toReversed())
          await connection.query(
            `select * from qudo_job where id = x'${id.replaceAll("-", "")}' for update`,
          );
      } catch {
        // It was the one that had to give way.
      }
      await connection.query("rollback");
      // Somebody who never let go would be no storm but a siege.
      await new Promise((resolve) => setTimeout(resolve, 20 * Math.random()));
    }
  }

  private async round(driver: Driver, worker: TestWorker): Promise<void> {
    // The same ids in another order each time: as bad as it gets.
    await driver.insertJobs(shuffled(this.ids).map((id) => newJob({ id })));
    await driver.insertJobs(times(5, () => newJob()));
    const keys = shuffled(times(HOT, (i) => `k${i}`)).slice(0, 3);
    await driver.insertJobs(keys.map((uniqueKey) => newJob({ uniqueKey })));
    const held = await worker.claim({ limit: 15 });
    await driver.markStarted(shuffled(held).slice(0, 5));
    if (chance(3)) await driver.cancel(shuffled(this.ids).slice(0, 10));
    if (chance(3)) await driver.retry(shuffled(this.ids));
    const lines = [worker.line(1, "x")];
    await driver.report(held.map((job) => ({ ...job, progress: "1", lines })));
    for (const job of held.slice(0, 4)) await (chance(2) ? worker.done(job) : worker.fail(job, 5));
    for (const job of held.slice(4, 6)) await worker.abort(job);
    await worker.heartbeat(...held.slice(6));
    await worker.release(...held.slice(6));
    await driver.promote(50);
    if (chance(20)) await driver.prune({ scan: "other", keepMs: 0, after: null, limit: 100 });
  }
}

test.each(KINDS_HERE)(
  "a deadlock storm on $name surfaces nowhere",
  { timeout: 120_000 },
  async ({ server: find }) => {
    const server = await find();
    await using place = await openPlace(server);
    const drivers = await Promise.all(
      times(CONNECTIONS / 4, () => openMysql(mysqlSettings(place.url, { connections: 4 }))),
    );
    const before = await deadlocks(place);
    const storm = new Storm();
    // Four to each pool: none of them waits for a connection for long.
    const strangers = await Promise.all(times(3, () => administrator(place.url)));
    await Promise.all([
      ...drivers.flatMap((driver) => times(4, () => storm.rage(driver))),
      ...strangers.map((stranger) => storm.provoke(stranger)),
    ]);
    const met = (await deadlocks(place)) - before;
    console.log(`${storm.done} rounds, ${met} deadlocks`);
    expect(storm.errors).toEqual([]);
    expect(await place.driver.audit()).toEqual([]);
    expect(met).toBeGreaterThan(20);
    await Promise.all([
      ...drivers.map((driver) => driver.close()),
      ...strangers.map((s) => s.end()),
    ]);
  },
);

/** Who waits for whom: claims for nobody, and whoever locks rows by their keys only for those who hold these very rows. */
import type { Connection, RowDataPacket } from "mysql2/promise";
import { afterSuccess } from "../../src/core/outcome.js";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newJob, times, type JobSpec } from "../../src/testing/conformance/harness.js";
import { settlement, TestWorker, type HeldJob } from "../../src/testing/conformance/worker.js";
import { newId } from "../../src/storage/ids.js";
import type { MysqlServer } from "../servers/index.js";
import { administrator, KINDS_HERE, openPlace, type Place } from "./support.js";

/** Far below the two seconds for which a lock is waited for. */
const AT_ONCE_MS = 1_500;

/** Takes no longer than something that waits for nobody. */
async function atOnce<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: it waited`)), AT_ONCE_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

const literal = (id: string): string => `x'${id.replaceAll("-", "")}'`;
const listed = (ids: readonly string[]): string => ids.map(literal).join(", ");
const even = <T>(items: readonly T[]): T[] => items.filter((_, i) => i % 2 === 0);
const odd = <T>(items: readonly T[]): T[] => items.filter((_, i) => i % 2 === 1);

const ids = (jobs: readonly HeldJob[]): string[] => jobs.map(({ job }) => job);

describe.each(KINDS_HERE)("on $name", ({ server: find }) => {
  let server: MysqlServer;
  let place: Place;
  /** Somebody else's transaction, open for as long as a test lasts. */
  let other: Connection;

  beforeAll(async () => {
    server = await find();
  });

  beforeEach(async () => {
    place = await openPlace(server);
    other = await administrator(place.url);
    await other.query("set session transaction isolation level read committed");
    await other.query("start transaction");
    return async () => {
      await other.end();
      await place[Symbol.asyncDispose]();
    };
  });

  const enqueue = async (n: number, spec: (i: number) => JobSpec = () => ({})) => {
    const jobs = times(n, (i) => newJob(spec(i)));
    await place.driver.insertJobs(jobs);
    return jobs.map((job) => job.id);
  };

  describe.each([2, 10, 400])("of %i jobs", (n) => {
    test("a claim passes by what others are claiming", async () => {
      const ids = await enqueue(n);
      const theirs = even(ids);
      await other.query(`select * from qudo_ready where id in (${listed(theirs)}) for update`);
      await other.query(`delete from qudo_ready where id = ${literal(theirs[0]!)}`);
      const worker = await TestWorker.open(place.driver);
      const held = await atOnce("claim", worker.claim({ limit: n }));
      expect(held.map(({ job }) => job)).toEqual(odd(ids));
    });

    test("so does one of several kinds", async () => {
      const kinds = ["a", "b", "c"];
      const ids = await enqueue(n, (i) => ({ kind: kinds[i % 3]! }));
      await other.query(`select * from qudo_ready where id in (${listed(even(ids))}) for update`);
      const worker = await TestWorker.open(place.driver);
      const got = new Set<string>();
      // How many each kind is to give is looked up without locks: what others hold makes a claim short, and it is told.
      for (let more = true; more;) {
        const { held, ...trip } = await atOnce("claim", worker.trip([], { kinds, limit: n }));
        for (const { job } of held) got.add(job);
        more = trip.more && held.length > 0;
      }
      expect([...got].toSorted()).toEqual(odd(ids).toSorted());
    });

    test("a promotion passes by what others are moving", async () => {
      const ids = await enqueue(n, () => ({ delayMs: 1 }));
      await other.query(`select * from qudo_delayed where id in (${listed(even(ids))}) for update`);
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await atOnce("promote", place.driver.promote(1_000))).toMatchObject({
        moved: odd(ids).length,
      });
    });
  });

  /** Jobs of each kind of life, half of which are somebody else's, who holds every row of theirs and adds more. */
  describe.each([4, 40])("of %i jobs of each state, half of them in others' hands,", (n) => {
    let worker: TestWorker;
    let waiting: string[];
    let delayed: string[];
    let held: HeldJob[];
    let failed: HeldJob[];

    beforeEach(async () => {
      const { driver } = place;
      const session = await TestWorker.open(driver);
      const theirs = await TestWorker.open(driver);
      worker = session;
      await enqueue(4 * n, (i) => ({ uniqueKey: `k${i}`, kind: "keyed", queue: "q" }));
      const abandoned = await session.claim({ queue: "q", kinds: ["keyed"], limit: 2 * n });
      for (const job of abandoned) await session.abort(job);
      failed = abandoned.slice(0, n);
      // One lease each: what belongs to one of them belongs to no other.
      held = [];
      for (let i = 0; i < n; i++)
        held.push(...(await session.claim({ queue: "q", kinds: ["keyed"], limit: 1 })));
      const notOurs = await theirs.claim({ queue: "q", kinds: ["keyed"], limit: n });
      waiting = await enqueue(2 * n);
      delayed = await enqueue(2 * n, () => ({ delayMs: 3_600_000 }));
      await session.driver.markStarted([...held, ...notOurs.map((job) => ({ ...job }))]);

      const ours = [...waiting.slice(0, n), ...delayed.slice(0, n)];
      const mine = new Set([...ours, ...held.map(({ job }) => job), ...failed.map((f) => f.job)]);
      // One by one: a range would also lock what stands at its ends.
      const lock = async (table: string, column: string, except: readonly string[]) => {
        const all = `select distinct hex(${column}) as id from qudo_${table}`;
        const [rows] = await other.query<RowDataPacket[]>(
          `${all} where ${column} not in (${listed(except)})`,
        );
        for (const { id } of rows)
          await other.query(`select * from qudo_${table} where ${column} = x'${id}' for update`);
      };
      for (const [table, column] of [
        ["job", "id"],
        ["ready", "id"],
        ["delayed", "id"],
        ["outcome", "job_id"],
        ["running", "job_id"],
        ["unique_key", "job_id"],
      ] as const)
        await lock(table, column, [...mine]);
      await lock("worker", "id", [session.session]);
      await lock(
        "lease",
        "id",
        held.map(({ lease }) => lease),
      );
      const [id, at] = [literal(newId()), 1];
      await other.query(
        `insert into qudo_job (id, lane, prio, run_at, created_at, max_attempts, codec, payload_version)
          values (${id}, 1, 0, ${at}, ${at}, 6, 1, 1)`,
      );
      for (const table of ["ready", "delayed"])
        await other.query(
          `insert into qudo_${table} (lane, prio, run_at, id, run, fails, crashes) values (1, 0, ${at}, ${id}, 1, 0, 0)`,
        );
    });

    test.each([1, 2, n])("%i are cancelled at once", async (some) => {
      const { driver } = place;
      for (const jobs of [waiting, delayed, ids(held)])
        expect(await atOnce("cancel", driver.cancel(jobs.slice(0, some)))).toEqual(
          times(some, () => "cancelled"),
        );
    });

    test.each([1, 2, n])("%i are tried again at once", async (some) => {
      const again = await atOnce("retry", place.driver.retry(ids(failed).slice(0, some)));
      expect(again).toEqual(times(some, () => ({ status: "requeued" })));
    });

    test.each([1, 2, n])("%i are settled, reported and given back at once", async (some) => {
      const { driver } = place;
      const line = worker.line(1, "a line");
      const reports = held.slice(0, some).map(({ job, run, lease, session }) => ({
        job,
        run,
        lease,
        session,
        progress: "1",
        lines: [line],
      }));
      expect(await atOnce("report", driver.report(reports))).toEqual(times(some, () => true));
      await atOnce("heartbeat", worker.heartbeat(...held.slice(0, some)));
      const [first, ...rest] = held.slice(0, some);
      const groups = held.slice(some).map((job) => {
        const end = settlement(job, afterSuccess(job));
        return worker.group(job.lease, [end]);
      });
      expect(await atOnce("settle", worker.done(first!))).toBe("accepted");
      await atOnce("settle all", driver.trip({ settle: groups, claim: null }));
      expect(await atOnce("release", worker.release(...rest))).toBe(rest.length);
    });

    test.each([1, 2, n])("%i are added at once, with keys and without", async (some) => {
      const { driver } = place;
      for (const spec of [() => ({}), (i: number) => ({ uniqueKey: `new${i}` })])
        await atOnce("insert", driver.insertJobs(times(some, (i) => newJob(spec(i)))));
      await atOnce("duplicates", driver.insertJobs(ids(failed).map((id) => newJob({ id }))));
    });

    test("what has ended is pruned at once, and others are looked at", async () => {
      const { driver } = place;
      const step = { scan: "other", keepMs: 0, after: null, limit: 100 } as const;
      // One by one: a range would wait for what stands at its ends.
      for (const id of ids(failed))
        await place.admin.query(
          `update qudo_outcome set ended_at = 1 where job_id = ${literal(id)} and run = 1`,
        );
      expect((await atOnce("prune", driver.prune(step))).pruned).toBe(n);
      await atOnce("counts", driver.counts({}));
      await atOnce("list", driver.listJobs({ limit: 100 }));
      await atOnce("audit", driver.audit());
    });
  });
});

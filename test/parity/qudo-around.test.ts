/** Rows Q12 to Q22 of docs/parity.md: what stands around the queue of Qudo. One test a row, on every database. */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { defineJob, Qudo } from "qudo";
import type { Driver } from "qudo/driver";
import { laws, runLaw, type Fixture } from "qudo/testing";
import { run } from "../cli/support/cli.js";
import { mysql } from "../conformance/support/mysql.js";
import { postgresSchema } from "../conformance/support/postgres.js";
import { sqliteThread } from "../conformance/support/fixture.js";
import { mariadb } from "../servers/index.js";
import { all, closing, newQudo, onEachDatabase, quiet, type Place } from "./support.js";

onEachDatabase((place) => {
  test("Q4 drivers: the same program on each database, by its address alone, behind one contract", async () => {
    const job = defineJob("job", { run: (n: number) => n + 1 });
    const qudo = newQudo(place.newAddress(), [job]);
    const scheme = { SQLite: "sqlite:", PostgreSQL: "postgres://", MariaDB: "mysql://" }[
      place.engine
    ];
    expect((await qudo.label()).startsWith(scheme)).toBe(true);
    const { id } = await qudo.enqueue(job, 1);
    expect(await qudo.workOnce()).toBe(true);
    expect((await qudo.jobs.get(id))!.last).toMatchObject({ result: 2 });
    // A driver of somebody's own, as the contract wants it: here one that counts, and hands on.
    let trips = 0;
    const real = fixtureOf(place);
    const counting: Fixture = {
      ...real,
      async open() {
        const database = await real.open();
        const { driver } = database;
        const own: Driver = { ...driver, trip: (trip) => (trips++, driver.trip(trip)) };
        return { ...database, driver: own };
      },
    };
    const law = laws.find((one) => one.id === "claim.priority-order")!;
    expect(await runLaw(law, counting)).toEqual({ status: "held" });
    expect(trips).toBeGreaterThan(0);
  });

  test("Q15 the exception log: a row per failed run, ten at a time, by kind and database", async () => {
    const { qudo, bad } = await withLogs();
    expect(await qudo.exceptionList()).toHaveLength(10);
    const first = await qudo.exceptionList({ kinds: ["bad"] });
    const rest = await qudo.exceptionList({ kinds: ["bad"], limit: 5, offset: 10 });
    expect([first.length, rest.length]).toEqual([10, 2]);
    expect([...first, ...rest].map(({ job }) => job).toSorted()).toEqual(bad.toSorted());
    expect([...first, ...rest].find(({ job }) => job === bad[0])).toMatchObject({
      kind: "bad",
      message: expect.stringContaining("no 0"),
      at: expect.any(Date),
      arg: { n: 0, note: "kept" },
      uniqueKey: "bad-0",
      retried: false,
      run: 1,
    });
    expect(await qudo.exceptionList({ funcs: ["good"] })).toEqual([]);
    const [newest] = await qudo.exceptionList({ kinds: ["bad"], limit: 1, newestFirst: true });
    expect(newest).toEqual(rest[1]);
  });

  test("Q16 a failed run is enqueued again, its row marked, and refused a second time", async () => {
    const { qudo, bad } = await withLogs();
    const row = async () =>
      (await qudo.exceptionList({ limit: 100 })).find(({ job }) => job === bad[0])!;
    const failed = await row();
    const again = await qudo.enqueueFromFailed(failed);
    expect(again).toMatchObject({ status: "inserted" });
    const { id } = again as { id: string };
    expect(id).not.toBe(bad[0]);
    expect(await qudo.jobs.get(id)).toMatchObject({
      state: "pending",
      payload: { n: 0, note: "kept" },
      uniqueKey: "bad-0",
    });
    expect([failed.retried, await row()]).toMatchObject([false, { retried: true, retriedBy: id }]);
    expect(
      (await qudo.exceptionList({ limit: 100 })).filter(({ retried }) => retried),
    ).toHaveLength(1);
    expect(await qudo.enqueueFromFailed(failed)).toEqual({ status: "already", id });
    expect(await qudo.jobCount("bad")).toEqual([{ database: null, jobs: 1 }]);
  });

  test("Q17 the job status log: a row per run with what became of it and when", async () => {
    const { qudo } = await withLogs();
    expect(await qudo.jobStatusList()).toHaveLength(10);
    const rows = await qudo.jobStatusList({ limit: 100 });
    const counted: Record<string, number> = {};
    for (const { kind, status } of rows)
      counted[`${kind} ${status}`] = (counted[`${kind} ${status}`] ?? 0) + 1;
    expect(counted).toEqual({ "bad failed": 12, "good completed": 3, "hopeless abort": 1 });
    for (const { startedAt, endedAt } of rows)
      expect(startedAt!.getTime()).toBeLessThanOrEqual(endedAt.getTime());
    const good = await qudo.jobStatusList({ kinds: ["good"], offset: 1 });
    expect(good).toMatchObject([{ status: "completed" }, { status: "completed" }]);
    expect(rows.filter(({ kind }) => kind === "good").slice(1)).toEqual(good);
  });

  test("Q18 job_count: of a kind or of several, of each database or of one", async () => {
    const [a, b] = ["a", "b"].map((kind) => defineJob(kind, { run: () => undefined }));
    const one = newQudo(place.newAddress());
    await one.enqueueMany([
      [a!, 1],
      [a!, 2, { delay: "1h" }],
      [b!, 3],
    ]);
    expect(await one.jobCount()).toEqual([{ database: null, jobs: 3 }]);
    expect(await one.jobCount("a")).toEqual([{ database: null, jobs: 2 }]);
    expect(await one.jobCount(["a", "b"])).toEqual([{ database: null, jobs: 3 }]);
    const databases = ["first", "second"].map((name) => ({ name, url: place.newAddress() }));
    const several = closing(new Qudo({ databases, logger: quiet }));
    const added = await several.enqueueMany(Array.from({ length: 30 }, (_, n) => [a!, n] as const));
    const counted = await several.jobCount("a");
    expect(counted.map(({ database }) => database)).toEqual(["first", "second"]);
    for (const { database, jobs } of counted)
      expect(jobs).toBe(added.filter((job) => job.database === database).length);
    expect(await several.jobCount("a", "second")).toEqual(counted.slice(1));
  });

  async function withLogs() {
    const bad = defineJob("bad", {
      maxAttempts: 1,
      run: ({ n }: { n: number; note: string }) => {
        throw new Error(`no ${n}`);
      },
    });
    const good = defineJob("good", { run: (n: number) => n });
    const hopeless = defineJob("hopeless", { run: (_: unknown, job) => job.abort("no use") });
    const qudo = newQudo(place.newAddress(), [bad, good, hopeless]);
    const failing = await qudo.enqueueMany(
      Array.from(
        { length: 12 },
        (_, n) => [bad, { n, note: "kept" }, { uniqueKey: `bad-${n}`, priority: 1 }] as const,
      ),
    );
    await qudo.enqueueMany([0, 1, 2].map((n) => [good, n] as const));
    await qudo.enqueue(hopeless, 1);
    // One after the other, so that the log has their order.
    const worker = await qudo.work({ concurrency: 1, maxJobs: 16 });
    await worker.stopped;
    return { qudo, bad: failing.map(({ id }) => id) };
  }

  test("Q19 server time: whatever a worker's clock says, times and delays are the database's", async () => {
    const job = defineJob("job", { run: () => undefined });
    const qudo = newQudo(place.newAddress(), [job]);
    await qudo.migrate();
    const now = Date.now;
    // A file's clock is its host's, and lives in a thread of its own: it is no worker's either.
    Date.now = () => now() + 86_400_000;
    try {
      const { id } = await qudo.enqueue(job, 1);
      const tomorrow = await qudo.enqueue(job, 1, { delay: "23h" });
      expect(await qudo.workOnce()).toBe(true);
      expect(await qudo.workOnce()).toBe(false);
      const [attempt] = await all(qudo.attempts.list({ job: id }));
      for (const at of [attempt!.startedAt!, attempt!.endedAt])
        expect(Math.abs(at.getTime() - now())).toBeLessThan(60_000);
      expect(await qudo.jobs.get(tomorrow.id)).toMatchObject({ state: "pending" });
    } finally {
      Date.now = now;
    }
  });

  test("Q20 the command makes the schema; --dry-run prints its SQL, and makes nothing", async () => {
    const env = { QUDO_DATABASE: place.newAddress() };
    const looked = await run(["migrate", "--dry-run"], { env });
    expect(looked).toMatchObject({ code: 0, stderr: "" });
    expect(looked.stdout).toMatch(/create table[^;]*outcome/);
    if (place.engine === "SQLite")
      expect(existsSync(env.QUDO_DATABASE.replace("sqlite:", ""))).toBe(false);
    else expect(await newQudo(env.QUDO_DATABASE).schemaVersion()).toBeNull();
    expect((await run(["migrate"], { env })).stdout).toContain("tables created");
    expect((await run(["migrate", "--dry-run"], { env })).stdout).toContain("nothing to do");
    // And what was printed is all there is to it: run by hand, it leaves nothing to be done.
    const elsewhere = place.newAddress();
    const { stdout } = await run(["migrate", "--dry-run"], { env: { QUDO_DATABASE: elsewhere } });
    await place.execute(elsewhere, stdout);
    expect((await run(["migrate"], { env: { QUDO_DATABASE: elsewhere } })).stdout).toContain(
      "already at version",
    );
    const job = defineJob("job", { run: () => undefined });
    const qudo = newQudo(elsewhere, [job]);
    await qudo.enqueue(job, 1);
    expect(await qudo.workOnce()).toBe(true);
    expect((await qudo.doctor()).violations).toEqual([]);
  });

  test("Q21 a test kit: the same laws hold on every database, and anybody may run them on another", async () => {
    const fixture = fixtureOf(place);
    const some = laws.filter(({ id }) => id.startsWith("enqueue.") || id.startsWith("fence."));
    expect(some.length).toBeGreaterThan(5);
    for (const law of some) expect(await runLaw(law, fixture)).toMatchObject({ status: "held" });
  });
});

function fixtureOf({ engine }: Place): Fixture {
  if (engine === "SQLite") return sqliteThread();
  if (engine === "PostgreSQL") return postgresSchema("PostgreSQL");
  return mysql("MariaDB", () => mariadb({ durable: false }));
}

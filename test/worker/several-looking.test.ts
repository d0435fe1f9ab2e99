/** What a user sees of several databases: all of them merged, one by its name, and what is said of one that is not there. */
import { createServer } from "node:net";
import { once } from "node:events";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, test } from "vitest";
import { defineJob, IncompleteError, Qudo, type QudoEvents } from "../../src/index.js";
import { newId } from "../../src/storage/ids.js";
import { closing, newPath, silent, until } from "./support.js";

const greet = defineJob("greet", { run: (payload: { i: number }) => Promise.resolve(payload.i) });
const other = defineJob("other", { run: () => Promise.resolve() });

/** An address at which nobody answers. */
async function nowhere(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return `postgres://nobody:secret@127.0.0.1:${port}/none`;
}

const file = (name: string) => ({ name, url: `sqlite:${newPath()}` });

interface Several {
  readonly qudo: Qudo;
  readonly lines: string[];
}

/** Two files, and what is said in the log. `more`: other databases beside them. */
function several(...more: { name: string; url: string }[]): Several {
  const lines: string[] = [];
  const logger = { ...silent(), warn: (line: string) => void lines.push(line) };
  const jobs = [greet, other];
  const databases = [file("a"), file("b"), ...more];
  const qudo = new Qudo({ databases, jobs, retrySeconds: 60, logger });
  return { qudo: closing(qudo), lines };
}

async function withOneGone(): Promise<Several> {
  return several({ name: "gone", url: await nowhere() });
}

async function enqueue(qudo: Qudo, n: number): Promise<string[]> {
  const all = Array.from({ length: n }, (_, i) => qudo.enqueue(greet, { i }));
  return (await Promise.all(all)).map(({ id }) => id);
}

async function incomplete<T>(answer: Promise<T>): Promise<IncompleteError<T>> {
  const error: unknown = await answer.then(
    () => expect.fail("it is said to be complete"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(IncompleteError);
  expect((error as IncompleteError).unasked.map(({ database }) => database)).toEqual(["gone"]);
  expect(String((error as Error).message)).not.toContain("secret");
  return error as IncompleteError<T>;
}

async function all<T>(rows: AsyncIterable<T>): Promise<{ rows: T[]; error: unknown }> {
  const found: T[] = [];
  try {
    for await (const row of rows) found.push(row);
    return { rows: found, error: null };
  } catch (error) {
    return { rows: found, error };
  }
}

describe("all of them", () => {
  test("jobs are listed and found wherever they are, and say where", async () => {
    const { qudo } = several();
    const ids = await enqueue(qudo, 250);
    const { rows, error } = await all(qudo.jobs.list());
    expect(error).toBeNull();
    expect(rows.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(new Set(rows.map(({ database }) => database))).toEqual(new Set(["a", "b"]));
    for (const { id, database } of rows.slice(0, 5))
      expect(await qudo.jobs.get(id)).toMatchObject({ id, database });
    const [lane] = await qudo.monitor.counts();
    expect(lane).toMatchObject({ kind: "greet", pending: 250 });
    expect(lane).not.toHaveProperty("database");
  });

  test("one of them is asked by its name", async () => {
    const { qudo } = several();
    await enqueue(qudo, 100);
    const each = await qudo.monitor.countsByDatabase();
    expect(each.map(({ database }) => database)).toEqual(["a", "b"]);
    expect(each.reduce((sum, { pending }) => sum + pending, 0)).toBe(100);
    const { pending } = each[1]!;
    expect(pending).toBeGreaterThan(0);
    const { rows } = await all(qudo.jobs.list({ database: "b" }));
    expect(rows.map(({ database }) => database)).toEqual(Array(pending).fill("b"));
    expect((await qudo.jobs.page({ database: "b", limit: 5 })).jobs[0]!.database).toBe("b");
    expect((await qudo.monitor.counts({ database: "b" }))[0]!.pending).toBe(pending);
    expect((await qudo.monitor.countsByDatabase({ database: "b" })).length).toBe(1);
    const tally = await qudo.monitor.tally("1h", { database: "b" });
    expect(tally.reduce((sum, { n }) => sum + n, 0)).toBe(pending);
    expect(await qudo.jobs.cancelAll({ database: "b" })).toMatchObject({ changed: pending });
    const attempts = await all(qudo.attempts.list({ database: "b" }));
    expect(attempts.rows.map(({ database }) => database)).toEqual(Array(pending).fill("b"));
    expect((await all(qudo.attempts.list({ database: "a" }))).rows).toEqual([]);
  });

  test("a name that none of them has is refused, and so is any where there is no list", async () => {
    const { qudo } = several();
    const one = closing(new Qudo({ databases: file("x").url }));
    for (const [each, message] of [
      [qudo, /There is no database "c"\. There are: a, b\./],
      [one, /one database only/],
    ] as const)
      for (const call of [
        () => each.jobs.page({ database: "c" }),
        () => each.jobs.cancelAll({ database: "c" }),
        () => each.monitor.counts({ database: "c" }),
        () => each.monitor.countsByDatabase({ database: "c" }),
        () => each.monitor.tally("1h", { database: "c" }),
        () => each.monitor.workers({ database: "c" }),
        () => all(each.attempts.list({ database: "c" })).then(({ error }) => Promise.reject(error)),
      ])
        await expect(call()).rejects.toMatchObject({ code: "QUDO_UNKNOWN_DATABASE", message });
    expect(await one.monitor.databases()).toEqual([]);
    await one.enqueue(greet, { i: 1 });
    expect(await one.monitor.countsByDatabase()).toMatchObject([{ database: null, pending: 1 }]);
  });

  test("queues are paused, jobs cancelled and retried, old ones pruned in all of them", async () => {
    const { qudo } = several();
    const ids = await enqueue(qudo, 40);
    expect(await qudo.pause("default")).toBe(true);
    expect(await qudo.pause("default")).toBe(false);
    expect((await qudo.monitor.countsByDatabase()).map(({ paused }) => paused)).toEqual([
      true,
      true,
    ]);
    expect((await qudo.monitor.counts())[0]!.paused).toBe(true);
    expect(await qudo.resume("default")).toBe(true);
    expect(await qudo.jobs.cancelAll({})).toEqual({ matched: 40, changed: 40, refused: {} });
    expect(await qudo.jobs.cancel(ids[0]!)).toBe("already");
    expect(await qudo.jobs.retry(ids[0]!)).toEqual({ status: "requeued" });
    expect(await qudo.jobs.retryAll({})).toMatchObject({ changed: 39 });
    expect((await qudo.monitor.counts())[0]).toMatchObject({ pending: 40, cancelled: 0 });
    expect(await qudo.prune({ dryRun: true })).toEqual({ jobs: 0, counts: 0 });
    const { rows, error } = await all(qudo.attempts.list({}, 7));
    expect(error).toBeNull();
    expect(rows.length).toBe(80);
    const times = rows.map(({ endedAt }) => endedAt.getTime());
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test("figures are sums, of each by itself, or of one; unfinished jobs are counted in each", async () => {
    const { qudo } = several();
    await enqueue(qudo, 60);
    expect(await qudo.monitor.figures()).toMatchObject({ outstanding: 60, load: 60, pending: 60 });
    const each = await qudo.monitor.figuresByDatabase();
    expect(each.map(({ database }) => database)).toEqual(["a", "b"]);
    const [a, b] = each.map(({ outstanding }) => outstanding);
    expect(a! + b!).toBe(60);
    expect(await qudo.monitor.load({ database: "b" })).toBe(b);
    expect(await qudo.jobCount("greet")).toEqual([
      { database: "a", jobs: a },
      { database: "b", jobs: b },
    ]);
    expect(await qudo.jobCount(undefined, "b")).toEqual([{ database: "b", jobs: b }]);
    expect(await qudo.jobCount("none", "a")).toEqual([{ database: "a", jobs: 0 }]);
  });

  test("logs, changes and waiting jobs are merged in the order of time, also behind an offset", async () => {
    const { qudo } = several();
    await enqueue(qudo, 40);
    const due = await all(qudo.monitor.changesSince("1h"));
    expect(due.rows.map(({ what }) => what)).toEqual(Array(40).fill("due"));
    expect(new Set(due.rows.map(({ database }) => database))).toEqual(new Set(["a", "b"]));
    const times = due.rows.map(({ at }) => at.getTime());
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    await qudo.work({ signals: false, logger: silent() });
    await until("all are done", async () => (await qudo.monitor.outstanding()) === 0);
    const every = (await all(qudo.attempts.list())).rows.map(({ job }) => job);
    const { attempts, next } = await qudo.attempts.page({ offset: 13, limit: 9 });
    expect(attempts.map(({ job }) => job)).toEqual(every.slice(13, 22));
    const rest = await qudo.attempts.page({ after: next!, offset: 3, limit: 50 });
    expect(rest.attempts.map(({ job }) => job)).toEqual(every.slice(25));
    const newest = await qudo.attempts.page({ newestFirst: true, limit: 1_000 });
    expect(newest.attempts.map(({ job }) => job)).toEqual(every.toReversed());
    expect(await qudo.jobStatusList({ offset: 38 })).toHaveLength(2);
    const ofOne = await qudo.jobStatusList({ database: "b", limit: 1_000 });
    expect(new Set(ofOne.map(({ database }) => database))).toEqual(new Set(["b"]));
    const ended = await all(qudo.monitor.changesSince("1h", { database: "b" }));
    expect(ended.rows.map(({ job }) => job)).toEqual(ofOne.map(({ job }) => job));
  });

  test("a job is explained where it is, by the workers that are there and the mode it has", async () => {
    const { qudo } = several();
    const ids = await enqueue(qudo, 30);
    await qudo.setMode("b", "off");
    const where = new Map<string, string[]>();
    for (const id of ids) {
      const { job, reasons } = await qudo.explain(id);
      where.set(
        job!.database!,
        reasons.map(({ code }) => code),
      );
    }
    expect(Object.fromEntries(where)).toEqual({
      a: ["no_workers"],
      b: ["database_off", "no_workers"],
    });
  });

  test("results are waited for wherever the job is", async () => {
    const { qudo } = several();
    const waiting = Array.from({ length: 20 }, async (_, i) =>
      (await qudo.enqueue(greet, { i })).result(),
    );
    await qudo.work({ signals: false, logger: silent() });
    expect(await Promise.all(waiting)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    const workers = await qudo.monitor.workers();
    expect(workers.map(({ database }) => database).toSorted()).toEqual(["a", "b"]);
    expect(await qudo.monitor.workers({ database: "a" })).toMatchObject([{ database: "a" }]);
  });

  test("what only a file can is refused, and the way to it told", async () => {
    const { qudo } = several();
    for (const call of [() => qudo.backup(newPath()), () => qudo.compact()])
      await expect(call()).rejects.toMatchObject({
        code: "QUDO_UNSUPPORTED",
        message: expect.stringMatching(/Open each file by itself/),
      });
  });
});

describe("where one of them is not there", () => {
  test("figures and pages hold what the others say, and name it", async () => {
    const { qudo } = await withOneGone();
    await enqueue(qudo, 30);
    const counts = await incomplete(qudo.monitor.counts());
    expect(counts.found).toMatchObject([{ kind: "greet", pending: 30 }]);
    const each = await incomplete(qudo.monitor.countsByDatabase());
    expect(each.found.map(({ database }) => database)).toEqual(["a", "b"]);
    const tally = await incomplete(qudo.monitor.tally("1h"));
    expect(tally.found.map(({ n }) => n).reduce((a, b) => a + b)).toBe(30);
    expect(tally.found[0]!.minute).toBeInstanceOf(Date);
    expect((await incomplete(qudo.monitor.workers())).found).toEqual([]);
    const page = await incomplete(qudo.jobs.page({ limit: 20 }));
    expect(page.found.jobs[0]!.createdAt).toBeInstanceOf(Date);
    const rest = await incomplete(qudo.jobs.page({ limit: 20, after: page.found.next! }));
    const ids = [...page.found.jobs, ...rest.found.jobs].map(({ id }) => id);
    expect(new Set(ids).size).toBe(30);
    expect(rest.found.next).toBeNull();
  });

  test("what is new in them is said of the others, and what is missing named", async () => {
    const { qudo } = await withOneGone();
    const [id] = await enqueue(qudo, 30);
    expect((await incomplete(qudo.monitor.figures())).found).toMatchObject({ outstanding: 30 });
    expect((await incomplete(qudo.monitor.load())).found).toBe(30);
    const figures = (await incomplete(qudo.monitor.figuresByDatabase())).found;
    expect(figures.map(({ database }) => database)).toEqual(["a", "b"]);
    const counted = (await incomplete(qudo.jobCount())).found;
    expect(counted.reduce((sum, { jobs }) => sum + jobs, 0)).toBe(30);
    const changes = await all(qudo.monitor.changesSince("1h"));
    expect(changes.rows).toHaveLength(30);
    await incomplete(Promise.reject(changes.error));
    const late = await all(qudo.monitor.late({ since: new Date(Date.now() + 60_000) }));
    expect(late.rows).toHaveLength(30);
    await incomplete(Promise.reject(late.error));
    expect((await incomplete(qudo.attempts.page())).found.attempts).toEqual([]);
    expect((await incomplete(qudo.exceptionList())).found).toEqual([]);
    expect((await qudo.explain(id!)).reasons.map(({ code }) => code)).toEqual(["no_workers"]);
    const nowhere = await qudo.explain(newId());
    expect(nowhere).toMatchObject({ job: null, at: null });
    expect(nowhere.reasons.map(({ code }) => code)).toEqual(["database_out"]);
    expect(nowhere.reasons[0]!.says).toContain("gone cannot be asked");
    expect(nowhere.reasons[0]!.says).not.toContain("secret");
  });

  test("those that are there are followed", async () => {
    const { qudo } = await withOneGone();
    const controller = new AbortController();
    const ids = await enqueue(qudo, 20);
    const seen: string[] = [];
    for await (const { job } of qudo.monitor.follow({
      since: "1h",
      every: "10ms",
      signal: controller.signal,
    }))
      if (seen.push(job) === 20) controller.abort();
    expect(seen.toSorted()).toEqual(ids.toSorted());
  });

  test("lists yield everything that is there, and then throw", async () => {
    const { qudo } = await withOneGone();
    const ids = await enqueue(qudo, 250);
    const jobs = await all(qudo.jobs.list());
    expect(jobs.rows.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    await incomplete(Promise.reject(jobs.error));
    const outcome = await incomplete(qudo.jobs.cancelAll({ kind: "greet" }));
    expect(outcome.found).toEqual({ matched: 250, changed: 250, refused: {} });
    const attempts = await all(qudo.attempts.list({}, 100));
    expect(attempts.rows.length).toBe(250);
    await incomplete(Promise.reject(attempts.error));
    expect((await incomplete(qudo.prune({ dryRun: true }))).found).toEqual({ jobs: 0, counts: 0 });
    expect((await incomplete(qudo.pause("default"))).found).toBe(true);
  });

  test("a job that is found is found; one that is not may be where nobody could look", async () => {
    const { qudo } = await withOneGone();
    const [id] = await enqueue(qudo, 1);
    expect(await qudo.jobs.get(id!)).toMatchObject({ id, state: "pending" });
    expect(await qudo.jobs.cancel(id!)).toBe("cancelled");
    expect(await qudo.jobs.retry(id!)).toEqual({ status: "requeued" });
    const unknown = "01a2056e-0fcc-7000-b73f-72fe5e0a14cb";
    expect((await incomplete(qudo.jobs.get(unknown))).found).toBeNull();
    expect((await incomplete(qudo.jobs.cancel(unknown))).found).toBe("absent");
    expect((await incomplete(qudo.jobs.retry(unknown))).found).toEqual({ status: "absent" });
    await incomplete(all(qudo.jobs.log(unknown)).then(({ error }) => Promise.reject(error)));
    // Its result may still come: only the others' absence is known.
    const wait = qudo.jobs.result(unknown, { timeout: 0.3 });
    await expect(wait).rejects.toMatchObject({ code: "QUDO_RESULT_TIMEOUT" });
  });

  test("results of the others come all the same", async () => {
    const { qudo } = await withOneGone();
    await qudo.work({ signals: false, logger: silent() });
    const waiting = Array.from({ length: 10 }, async (_, i) =>
      (await qudo.enqueue(greet, { i })).result(),
    );
    expect(await Promise.all(waiting)).toEqual(Array.from({ length: 10 }, (_, i) => i));
  });

  test("its state and the reason are told: asked for, once as an event, and in one line", async () => {
    const { qudo, lines } = await withOneGone();
    const events: QudoEvents["database"][] = [];
    const published: unknown[] = [];
    const hear = (event: unknown): void => void published.push(event);
    qudo.on("database", (event) => events.push(event));
    subscribe("qudo:database", hear);
    try {
      const databases = await qudo.monitor.databases();
      expect(databases.map(({ name, state, mode }) => [name, state, mode])).toEqual([
        ["a", "healthy", "active"],
        ["b", "healthy", "active"],
        ["gone", "out", "active"],
      ]);
      const { reason, since, retryAt } = databases[2]!;
      expect(reason).toMatch(/cannot be reached/);
      const wait = retryAt!.getTime() - since.getTime();
      expect(wait).toBeGreaterThanOrEqual(54_000);
      expect(wait).toBeLessThanOrEqual(66_000);
      await enqueue(qudo, 20);
      await incomplete(qudo.monitor.counts());
      const out = { name: "gone", from: "healthy", to: "out", reason };
      expect(events).toEqual([out]);
      expect(published).toEqual([out]);
      expect(lines).toEqual([expect.stringMatching(/the database gone is out, .* in \d+ s: /)]);
      for (const text of [...lines, String(reason)]) expect(text).not.toContain("secret");
    } finally {
      unsubscribe("qudo:database", hear);
    }
  });

  test("another mode is an event, too", async () => {
    const { qudo, lines } = several();
    await qudo.monitor.databases();
    const events: QudoEvents["database"][] = [];
    qudo.on("database", (event) => events.push(event));
    await qudo.setMode("b", "drain");
    expect(events).toMatchObject([{ name: "b", from: "active", to: "drain" }]);
    expect(lines).toEqual(["qudo: the database b drains: it gets no new jobs"]);
    await enqueue(qudo, 30);
    expect((await qudo.monitor.countsByDatabase()).map(({ database }) => database)).toEqual(["a"]);
  });
});

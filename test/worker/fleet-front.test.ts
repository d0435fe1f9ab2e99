/** Workers over several databases as a user has them: started, woken, stopped, refused; SQLite, and whatever servers there are beside it. */
import { describe, expect, test } from "vitest";
import { defineJob, InvalidInputError, Qudo, type AttemptInfo } from "../../src/index.js";
import { has, mariadb, postgres } from "../servers/index.js";
import {
  attemptsOf,
  closing,
  gate,
  newDatabase,
  newPath,
  openHandle,
  refused,
  tune,
  until,
} from "./support.js";

const two = (): { name: string; url: string }[] =>
  ["a", "b"].map((name) => ({ name, url: newDatabase() }));

describe("several databases", () => {
  test("a worker starts at once what is enqueued in its process, in whichever database it is", async () => {
    tune({ pollMs: 600_000 });
    const where = new Set<string | null>();
    const job = defineJob("job", { run: (_, { database }) => void where.add(database) });
    const qudo = closing(new Qudo({ databases: two(), jobs: [job] }));
    const worker = await qudo.work();
    const ids: string[] = [];
    for (let i = 0; i < 40; i++) {
      const enqueued = await qudo.enqueue(job, i);
      ids.push(enqueued.id);
      await enqueued.result({ timeout: "5s" });
    }
    expect([...where].sort()).toEqual(["a", "b"]);
    expect(worker.stats).toMatchObject({ done: 40, failed: 0 });
    const attempts: AttemptInfo[] = await attemptsOf(qudo);
    expect(attempts.map((attempt) => attempt.job).sort()).toEqual(ids.sort());
  });

  test("one that is called by another name: the worker does not start", async () => {
    const [a, b] = two() as [{ name: string; url: string }, { name: string; url: string }];
    const job = defineJob("job", { run: () => undefined });
    const right = new Qudo({ databases: [a, b], jobs: [job] });
    await (await right.work()).stop();
    await right.close();
    const swapped = closing(
      new Qudo({
        databases: [
          { ...a, name: "b" },
          { ...b, name: "a" },
        ],
        jobs: [job],
      }),
    );
    expect(await refused(swapped.work())).toMatchObject({ code: "QUDO_DATABASE_SWAPPED" });
  });

  test("one that is out when the worker starts: the others are worked on", async () => {
    const job = defineJob("job", { run: () => undefined });
    const dead = { name: "b", url: "postgres://qudo:secret@127.0.0.1:1/none" };
    const qudo = closing(new Qudo({ databases: [two()[0]!, dead], jobs: [job], logger: mute }));
    const worker = await qudo.work();
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => qudo.enqueue(job, n)));
    await Promise.all(all.map((one) => one.result({ timeout: "5s" })));
    expect(worker.stats.done).toBe(20);
    const stopping = performance.now();
    await worker.stop();
    expect(performance.now() - stopping).toBeLessThan(2_000);
  });

  test("a job is completed in a transaction on its own database, and on no other one", async () => {
    const paths = { a: newPath(), b: newPath() };
    const done = new Map<string, string>();
    const job = defineJob("job", {
      run: async (_, { id, database, completeIn }) => {
        const own = database as "a" | "b";
        const other = openHandle(paths[own === "a" ? "b" : "a"]);
        const handle = openHandle(paths[own]);
        try {
          for (const one of [other, handle]) one.exec("pragma busy_timeout=5000");
          other.exec("begin");
          expect(() => completeIn(other)).toThrow(InvalidInputError);
          handle.exec("begin immediate");
          await completeIn(handle, own);
          handle.exec("commit");
          done.set(id, own);
        } finally {
          handle.close();
          other.close();
        }
      },
    });
    const databases = Object.entries(paths).map(([name, path]) => ({
      name,
      url: `sqlite:${path}`,
    }));
    const qudo = closing(new Qudo({ databases, jobs: [job] }));
    await qudo.work({ concurrency: 1 });
    const all = await qudo.enqueueMany(Array.from({ length: 12 }, (_, n) => [job, n] as const));
    const results = await Promise.all(all.map((one) => one.result({ timeout: "10s" })));
    expect(results).toEqual(all.map(({ id }) => done.get(id)));
    expect(new Set(results)).toEqual(new Set(["a", "b"]));
  });

  test("stopping lets the handlers of all finish, and closes every session", async () => {
    const end = gate();
    let running = 0;
    const job = defineJob("job", { run: () => (running++, end.passed) });
    const databases = two();
    const qudo = closing(new Qudo({ databases, jobs: [job] }));
    await qudo.enqueueMany(Array.from({ length: 20 }, (_, n) => [job, n] as const));
    const worker = await qudo.work({ concurrency: 20 });
    await until("all run", () => running === 20);
    expect(await qudo.monitor.workers()).toHaveLength(2);
    const stopped = worker.stop();
    end.open();
    await stopped;
    await worker.stopped;
    expect(worker.stats.done).toBe(20);
    expect(await qudo.monitor.workers()).toEqual([]);
  });
});

const mute = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const isHere = { postgres: await has("postgres"), mariadb: await has("mariadb") };

describe.skipIf(!isHere.postgres || !isHere.mariadb)(
  "SQLite, PostgreSQL and MariaDB as one",
  () => {
    test("a worker runs what is in any of them", async () => {
      const [one, other] = [await postgres({ durable: false }), await mariadb()];
      await using first = await one.newDatabase();
      await using second = await other.newDatabase();
      const where = new Map<string | null, number>();
      const job = defineJob("job", {
        run: (_, { database }) => void where.set(database, (where.get(database) ?? 0) + 1),
      });
      const databases = [
        { name: "sqlite", url: newDatabase() },
        { name: "postgres", url: first.url },
        { name: "mariadb", url: second.url },
      ];
      const qudo = new Qudo({ databases, jobs: [job] });
      const worker = await qudo.work();
      const orders = Array.from({ length: 300 }, (_, n) => [job, n] as const);
      const all = await qudo.enqueueMany(orders);
      await Promise.all(all.map((enqueued) => enqueued.result({ timeout: "10s" })));
      expect(worker.stats).toMatchObject({ done: 300, lost: 0 });
      expect([...where.keys()].sort()).toEqual(["mariadb", "postgres", "sqlite"]);
      await qudo.close();
    });
  },
);

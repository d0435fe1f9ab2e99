/** Enqueueing in the user's own transaction, and at once: through the front door, on real files. */
import { describe, expect, test } from "vitest";
import { defineJob, Qudo, type EnqueueOptions } from "../../src/index.js";
import type { StandardSchema } from "../../src/core/schema.js";
import type { HandleLike } from "../../src/storage/sqlite/index.js";
import { openHandle } from "../conformance/support/handle.js";
import {
  closing,
  expectSound,
  gate,
  newPath,
  newQudo,
  refused,
  totals,
  tune,
  until,
} from "./support.js";

const note = defineJob("note", { run: (_payload: unknown) => undefined });

const schema = (validate: StandardSchema["~standard"]["validate"]): StandardSchema => ({
  "~standard": { version: 1, vendor: "test", validate },
});
const prompt = defineJob("prompt", {
  payload: schema((value) =>
    value === "bad" ? { issues: [{ message: "it is bad" }] } : { value },
  ),
  run: () => undefined,
});
const slow = defineJob("slow", {
  payload: schema(async (value) =>
    value === "bad" ? { issues: [{ message: "it is bad" }] } : { value },
  ),
  run: () => undefined,
});

async function inFile(): Promise<{ qudo: Qudo; db: HandleLike; orders(): number }> {
  const path = newPath();
  const qudo = newQudo([note, prompt, slow], path);
  await qudo.migrate();
  const db = await openHandle(path);
  // Without it a user's handle does not wait for others at all.
  db.exec("pragma busy_timeout=5000");
  db.exec("create table orders (n integer)");
  const count = db.prepare("select count(*) as n from orders");
  return { qudo, db, orders: () => (count.get() as { n: number }).n };
}

function thrown(call: () => unknown): Error & { code?: string } {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was accepted");
}

describe("in the user's transaction", () => {
  test("jobs are there with the user's rows, or neither is", async () => {
    const { qudo, db, orders } = await inFile();
    for (const end of ["rollback", "commit"]) {
      db.exec("begin immediate");
      db.exec("insert into orders values (1)");
      const inside = qudo.in(db);
      const one = inside.enqueueSync(note, 1, { priority: 3 });
      const many = inside.enqueueManySync([
        [note, 2],
        [prompt, 3, { delay: "1h" }],
      ]);
      const promised = [await inside.enqueue(note, 4), ...(await inside.enqueueMany([[note, 5]]))];
      const all = [one, ...many, ...promised];
      expect(all.map(({ status }) => status)).toEqual(Array(5).fill("inserted"));
      expect(await Promise.all(all.map(({ id }) => qudo.jobs.get(id)))).toEqual(
        Array(5).fill(null),
      );
      db.exec(end);
      expect(orders()).toBe(end === "commit" ? 1 : 0);
      const there = await Promise.all(all.map(({ id }) => qudo.jobs.get(id)));
      expect(there.map((job) => job?.payload)).toEqual(
        end === "commit" ? [1, 2, 3, 4, 5] : Array(5).fill(undefined),
      );
    }
    await expectSound(qudo);
  });

  test("enqueue inserts before it returns, where the schema answers at once", async () => {
    const { qudo, db } = await inFile();
    db.exec("begin immediate");
    const calls = [qudo.in(db).enqueue(note, 1), qudo.in(db).enqueue(prompt, 2)];
    const many = qudo.in(db).enqueueMany([[prompt, 3]]);
    db.exec("rollback");
    const all = [...(await Promise.all(calls)), ...(await many)];
    expect(all.map(({ status }) => status)).toEqual(["inserted", "inserted", "inserted"]);
    // What came later than the rollback would be there.
    const jobs = await Promise.all(all.map(({ id }) => qudo.jobs.get(id)));
    expect(jobs).toEqual([null, null, null]);
  });

  test("it waits for a schema that answers with a promise; the Sync calls refuse it", async () => {
    const { qudo, db } = await inFile();
    db.exec("begin immediate");
    const inside = qudo.in(db);
    const { id } = await inside.enqueue(slow, 1);
    for (const call of [
      () => inside.enqueueSync(slow, 1),
      () =>
        inside.enqueueManySync([
          [note, 1],
          [slow, 2],
        ]),
      () => qudo.enqueueSync(slow, "bad"),
    ])
      expect(thrown(call)).toMatchObject({
        name: "InvalidInputError",
        code: "QUDO_INVALID_PAYLOAD",
        message: expect.stringContaining("Use enqueue"),
      });
    db.exec("commit");
    expect(await qudo.jobs.get(id)).not.toBeNull();
    expect(await totals(qudo)).toMatchObject({ pending: 1 });
  });

  test("what is refused writes nothing, and their transaction stays open", async () => {
    const { qudo, db, orders } = await inFile();
    db.exec("begin immediate");
    db.exec("insert into orders values (1)");
    const inside = qudo.in(db);
    const misspelt = { dealy: 1 } as EnqueueOptions;
    for (const call of [
      () => inside.enqueueSync(prompt, "bad"),
      () => inside.enqueueSync(note, () => 1),
      () => inside.enqueueSync(note, 1, misspelt),
      () =>
        inside.enqueueManySync([
          [note, 1],
          [prompt, "bad"],
        ]),
    ])
      expect(thrown(call).name).toBe("InvalidInputError");
    for (const call of [
      inside.enqueue(prompt, "bad"),
      inside.enqueue(slow, "bad"),
      inside.enqueueMany([
        [slow, "bad"],
        [note, 1, misspelt],
      ]),
      inside.enqueueMany([
        [note, 1],
        [slow, "bad"],
      ]),
    ])
      expect((await refused(call)).name).toBe("InvalidInputError");
    db.exec("commit");
    expect(orders()).toBe(1);
    expect(await totals(qudo)).toEqual({});
  });

  test("a handle on another database is refused where it is handed in", async () => {
    const { qudo } = await inFile();
    const other = await openHandle(newPath());
    for (const handle of [other, {}, null])
      expect(thrown(() => qudo.in(handle as object))).toMatchObject({
        code: "QUDO_WRONG_DATABASE",
      });
  });

  test("unique keys and ids are told as ever, and results can be waited for", async () => {
    const { qudo, db } = await inFile();
    await using worker = await qudo.work({ signals: false });
    const echo = qudo.in(db);
    db.exec("begin immediate");
    const first = echo.enqueueSync(note, 1, { uniqueKey: "k" });
    const second = echo.enqueueSync(note, 2, { uniqueKey: "k" });
    const again = echo.enqueueSync(note, 3, { id: first.id });
    db.exec("commit");
    expect(second).toMatchObject({ status: "unique", holder: first.id });
    expect(again).toEqual({ id: first.id, status: "duplicate", holder: null });
    expect(JSON.parse(JSON.stringify(again))).toEqual({ ...again });
    await Promise.all([first, second, again].map((job) => job.result({ timeout: "10s" })));
    expect(worker.stats.done).toBe(1);
  });

  test("workers of this Qudo are told after the caller's turn", async () => {
    const { passed, open } = gate();
    const job = defineJob("told", { run: () => open() });
    const db = await openHandle(newPath());
    // On one handle there is no other connection's write to be seen, and the next poll is far away.
    tune({ pollMs: 60_000 });
    const qudo = closing(new Qudo({ databases: { handle: db }, jobs: [job] }));
    await qudo.migrate();
    await using worker = await qudo.work({ signals: false });
    await until("it has looked in vain", () => worker.stats.trips > 0);
    db.exec("begin immediate");
    qudo.in(db).enqueueSync(job, null);
    db.exec("commit");
    await passed;
  });

  test("after close() it is refused", async () => {
    const { qudo, db } = await inFile();
    await qudo.close();
    expect(thrown(() => qudo.in(db)).code).toBe("QUDO_CLOSED");
    expect(thrown(() => qudo.enqueueSync(note, 1)).code).toBe("QUDO_CLOSED");
  });
});

describe("enqueueSync", () => {
  test("is committed when it returns, on a file that was not there before", async () => {
    const path = newPath();
    const qudo = newQudo([note], path);
    const first = qudo.enqueueSync(note, { n: 1 }, { delay: "1h" });
    const look = await openHandle(path);
    expect(look.prepare("select count(*) as n from qudo_job").get()).toMatchObject({ n: 1 });
    expect(qudo.enqueueSync(note, 2, { id: first.id }).status).toBe("duplicate");
    expect(await qudo.jobs.get(first.id)).toMatchObject({ payload: { n: 1 }, state: "pending" });
    await expectSound(qudo);
  });

  test("makes no tables where it must not", async () => {
    const path = newPath();
    const url = `sqlite:${path}`;
    const looking = closing(new Qudo({ databases: { url, create: false }, migrate: false }));
    expect(thrown(() => looking.enqueueSync(note, 1)).code).toBe("QUDO_DATABASE_UNREACHABLE");
    const strict = closing(new Qudo({ databases: url, migrate: false }));
    expect(thrown(() => strict.enqueueSync(note, 1)).code).toBe("QUDO_SCHEMA_MISSING");
    await closing(new Qudo({ databases: url })).migrate();
    expect(strict.enqueueSync(note, 1).status).toBe("inserted");
    expect(looking.enqueueSync(note, 1).status).toBe("inserted");
  });

  test("on the user's own handle it stands in the transaction that is open there, or commits by itself", async () => {
    const path = newPath();
    const db = await openHandle(path);
    const qudo = closing(new Qudo({ databases: { handle: db } }));
    await qudo.migrate();
    const told: string[] = [];
    qudo.on("enqueued", ({ id }) => told.push(id));
    const alone = qudo.enqueueSync(note, 1);
    db.exec("begin immediate");
    const undone = qudo.enqueueSync(note, 2);
    db.exec("rollback");
    expect(await qudo.jobs.get(undone.id)).toBeNull();
    expect(await qudo.jobs.get(alone.id)).toMatchObject({ payload: 1 });
    expect(told).toEqual([alone.id]);
  });

  test("waits for whoever writes, and tells when that takes too long; afterwards it goes on", async () => {
    const { qudo, db } = await inFile();
    const { DEFAULTS } = await import("../../src/core/defaults.js");
    Object.assign(DEFAULTS, { busySyncMs: 50 });
    db.exec("begin immediate");
    expect(thrown(() => qudo.enqueueSync(note, 1))).toMatchObject({
      code: "QUDO_DATABASE_BUSY",
      transient: true,
      message: expect.not.stringContaining("Begin your transaction"),
    });
    db.exec("commit");
    expect(qudo.enqueueSync(note, 1).status).toBe("inserted");
  });

  test("a database in memory has no second connection", () => {
    const qudo = closing(new Qudo({ databases: "sqlite::memory:" }));
    expect(thrown(() => qudo.enqueueSync(note, 1))).toMatchObject({
      code: "QUDO_WRONG_DATABASE",
      message: expect.stringContaining("databases: { handle }"),
    });
  });
});

/** Rows Q1 to Q11 of docs/parity.md: queueing and working, as Qudo promised it. One test a row, on every database. */
import { expect, test } from "vitest";
import { defineJob, Qudo, type JobContext } from "qudo";
import { all, closing, gate, newQudo, onEachDatabase, quiet, until } from "./support.js";

onEachDatabase((place) => {
  test("Q1 enqueue: payload, unique key, delay and priority; the answer needs no look at the job", async () => {
    const seen: unknown[] = [];
    const mail = defineJob("mail", { run: (payload: unknown) => void seen.push(payload) });
    const qudo = newQudo(place.newAddress(), [mail]);
    const first = await qudo.enqueue(mail, { to: "a" }, { uniqueKey: "a", priority: -5 });
    expect(first).toMatchObject({
      status: "inserted",
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(await qudo.enqueue(mail, { to: "a" }, { uniqueKey: "a" })).toMatchObject({
      status: "unique",
      holder: first.id,
    });
    await qudo.enqueue(mail, { to: "urgent" }, { priority: 5 });
    const later = await qudo.enqueue(mail, { to: "later" }, { delay: 3_600 });
    const worker = await qudo.work({ concurrency: 1, maxJobs: 2 });
    await worker.stopped;
    expect(seen).toEqual([{ to: "urgent" }, { to: "a" }]);
    const waiting = await qudo.jobs.get(later.id);
    expect(waiting!.runAt.getTime() - waiting!.createdAt.getTime()).toBe(3_600_000);
  });

  test("Q2 several databases at once: with a dead one among them jobs are enqueued and worked off", async () => {
    const dead = await place.newDoor();
    const done = new Set<number>();
    const job = defineJob("job", { run: (n: number) => void done.add(n) });
    const qudo = closing(
      new Qudo({
        databases: [
          { name: "dead", url: dead.address },
          { name: "one", url: place.newAddress() },
          { name: "two", url: place.newAddress() },
        ],
        jobs: [job],
        logger: quiet,
      }),
    );
    const used = new Set<unknown>();
    let added = 0;
    // Each job goes to any that is healthy: by chance, so that some may be needed until both have had one.
    while (used.size < 2) used.add((await qudo.enqueue(job, added++)).database);
    expect(used).toEqual(new Set(["one", "two"]));
    const worker = await qudo.work({ logger: quiet });
    await until("all are done", () => done.size === added);
    await worker.stop();
    expect(worker.stats.done).toBe(added);
    // A single look goes through them in an order of chance, and passes over the dead one.
    await qudo.enqueue(job, added);
    expect([
      await qudo.workOnce({ logger: quiet }),
      await qudo.workOnce({ logger: quiet }),
    ]).toEqual([true, false]);
  });

  test("Q3 a dead database is tried again after retrySeconds, and is then used", async () => {
    const door = await place.newDoor();
    const job = defineJob("job", { run: () => undefined });
    const qudo = closing(
      new Qudo({
        databases: [
          { name: "dead", url: door.address },
          { name: "alive", url: place.newAddress() },
        ],
        retrySeconds: 0.3,
        jobs: [job],
        logger: quiet,
      }),
    );
    const back = new Promise((resolve) =>
      qudo.on("database", ({ name, to }) => name === "dead" && to === "healthy" && resolve(to)),
    );
    for (let n = 0; n < 20; n++)
      expect(await qudo.enqueue(job, n)).toMatchObject({ database: "alive" });
    await door.open();
    expect(await back).toBe("healthy");
    const added = await Promise.all(Array.from({ length: 60 }, (_, n) => qudo.enqueue(job, n)));
    expect(added.some(({ database }) => database === "dead")).toBe(true);
  });

  test("Q5 abilities: a worker takes only its kinds, others stay untouched, and none is an error", async () => {
    const [mine, others] = ["mine", "others"].map((kind) => defineJob(kind, { run: () => kind }));
    const address = place.newAddress();
    const producer = newQudo(address);
    const [able, unable, foreign] = await producer.enqueueMany([
      [mine!, 1],
      [others!, 1],
      [defineJob("foreign", { run: () => 1 }), 1],
    ]);
    await expect(producer.work()).rejects.toMatchObject({ code: "QUDO_NO_JOBS" });
    const qudo = newQudo(address, [mine!, others!]);
    await expect(qudo.work({ kinds: [] })).rejects.toMatchObject({ code: "QUDO_NO_JOBS" });
    const worker = await qudo.work({ kinds: ["mine"], idleTimeout: 0.2 });
    await worker.stopped;
    expect(await qudo.jobs.get(able!.id)).toMatchObject({ state: "done" });
    for (const { id } of [unable!, foreign!])
      expect(await qudo.jobs.get(id)).toMatchObject({ state: "pending", run: 1, last: null });
  });

  test("Q6 find_job_limit_size: no look takes more jobs than a batch", async () => {
    const [first, rest] = [gate(), gate()];
    const job = defineJob("job", {
      run: async (n: number) => {
        // The first fifty show that handlers are quick: from then on jobs are held for them.
        if (n < 50) return;
        first.open();
        await rest.passed;
      },
    });
    const qudo = newQudo(place.newAddress(), [job]);
    await qudo.enqueueMany(Array.from({ length: 200 }, (_, n) => [job, n] as const));
    const worker = await qudo.work({ batch: 4, concurrency: 1 });
    await first.passed;
    const [lane] = await qudo.monitor.counts();
    expect(lane!.reserved + lane!.running).toBeLessThanOrEqual(4);
    rest.open();
    await worker.stop();
  });

  test("Q7 work goes on for ever and sleeps where there is nothing; workOnce runs one job and says whether", async () => {
    const done: number[] = [];
    const job = defineJob("job", { run: (n: number) => void done.push(n) });
    const address = place.newAddress();
    const qudo = newQudo(address, [job]);
    expect(await qudo.workOnce()).toBe(false);
    await qudo.enqueueMany([1, 2].map((n) => [job, n] as const));
    expect(await qudo.workOnce()).toBe(true);
    expect(done).toEqual([1]);
    const worker = await qudo.work({ sleep: 0.05 });
    await until("the rest is done", () => done.length === 2);
    // As by another process: nothing in this one says that there is more.
    await newQudo(address).enqueue(job, 3);
    await until("one that came later is done", () => done.length === 3);
    await worker.stop();
  });

  test("Q8 a kind's own settings: retries, the wait before them, the lease; each run is recorded", async () => {
    const asked: unknown[] = [];
    const job = defineJob("flaky", {
      maxAttempts: 3,
      backoff: (fails, _, { payload, error }) => {
        asked.push([fails, payload, (error as Error).message]);
        return 1;
      },
      run: (_: string, { attempt }) => {
        throw new Error(`try ${attempt}`);
      },
    });
    const qudo = newQudo(place.newAddress(), [job]);
    const { id } = await qudo.enqueue(job, "p");
    const worker = await qudo.work({ lease: "10s", maxJobs: 3 });
    await until("the session is open", async () => (await qudo.monitor.workers()).length > 0);
    expect(await qudo.monitor.workers()).toMatchObject([{ leaseMs: 10_000 }]);
    await worker.stopped;
    expect(asked).toEqual([
      [1, "p", "try 1"],
      [2, "p", "try 2"],
    ]);
    const runs = await all(qudo.attempts.list({ job: id }));
    expect(runs.map(({ run, state }) => [run, state])).toEqual([
      [1, "failed"],
      [2, "failed"],
      [3, "abandoned"],
    ]);
    expect(runs.map(({ error }) => error!.split("\n")[0])).toEqual(
      [1, 2, 3].map((n) => expect.stringContaining(`try ${n}`)),
    );
  });

  test("Q9 what a handler knows of its job and can do with it", async () => {
    const known = gate<Record<string, unknown>>();
    const job = defineJob("all", {
      queue: "q",
      explicitCompletion: true,
      maxAttempts: 4,
      backoff: () => 1,
      run: async (how: { do: string }, job: JobContext) => {
        if (how.do === "silence") return;
        if (how.do === "abort") job.abort("of no use");
        if (how.do === "fail") return void job.fail(new Error("said"));
        if (how.do === "quit") job.quit();
        const { id, kind, queue, attempt, run, priority, database, payloadOrigin } = job;
        const open = job.outcome;
        expect(job.done({ fine: true })).toBe(true);
        known.open({
          id,
          kind,
          queue,
          attempt,
          run,
          priority,
          database,
          payloadOrigin,
          open,
          after: job.outcome,
        });
      },
    });
    const qudo = newQudo(place.newAddress(), [job]);
    const done = await qudo.enqueue(job, { do: "done" }, { priority: 3 });
    const worker = await qudo.work({ queues: { q: 1 } });
    expect(await known.passed).toEqual({
      id: done.id,
      kind: "all",
      queue: "q",
      attempt: 1,
      run: 1,
      priority: 3,
      database: null,
      payloadOrigin: '{"do":"done"}',
      open: null,
      after: "done",
    });
    expect(await done.result()).toEqual({ fine: true });
    const ends = await Promise.all(
      ["silence", "abort", "fail"].map((how) => qudo.enqueue(job, { do: how })),
    );
    await Promise.allSettled(ends.map((one) => one.result()));
    const runs = await Promise.all(ends.map(({ id }) => all(qudo.attempts.list({ job: id }))));
    expect(runs.map((list) => list.map(({ state }) => state).join())).toEqual([
      "failed,failed,failed,abandoned",
      "abandoned",
      "failed,failed,failed,abandoned",
    ]);
    expect(runs[0]![0]!.error).toContain("did not explicitly complete or fail");
    expect(runs[1]![0]).toMatchObject({ reason: "aborted" });
    expect(runs[1]![0]!.error).toContain("of no use");
    await qudo.enqueue(job, { do: "quit" });
    await worker.stopped;
    // And once more, or never again, because it says so itself.
    const moved = defineJob("moved", {
      run: (n: number, job: JobContext) => (n === 1 ? job.dequeue() : job.reenqueue("1h")),
    });
    const other = newQudo(place.newAddress(), [moved]);
    const [gone, later] = await other.enqueueMany([1, 2].map((n) => [moved, n] as const));
    await (
      await other.work({ maxJobs: 2 })
    ).stopped;
    expect(await other.jobs.get(gone!.id)).toMatchObject({ state: "cancelled" });
    expect(await other.jobs.get(later!.id)).toMatchObject({ state: "pending", fails: 0, run: 2 });
  });

  test("Q10 replace: new jobs are enqueued and this one completed in one transaction, or neither", async () => {
    const step = defineJob("step", { run: () => undefined });
    const plan = defineJob("plan", {
      maxAttempts: 1,
      run: async (how: "well" | "badly", job: JobContext) => {
        const ids = await job.replace([
          [step, 1],
          [step, 2, { delay: "1h" }],
        ]);
        if (how === "badly") throw new Error("after all");
        return ids;
      },
    });
    const qudo = newQudo(place.newAddress(), [plan, step]);
    const bad = await qudo.enqueue(plan, "badly");
    await qudo.workOnce({ kinds: ["plan"] });
    expect(await qudo.jobs.get(bad.id)).toMatchObject({ state: "abandoned" });
    expect(await qudo.jobCount("step")).toEqual([{ database: null, jobs: 0 }]);
    const good = await qudo.enqueue(plan, "well");
    await qudo.workOnce({ kinds: ["plan"] });
    const done = (await qudo.jobs.get(good.id))!;
    expect(done).toMatchObject({ state: "done" });
    const [first, second] = done.last!.result as string[];
    expect(await qudo.jobs.get(first!)).toMatchObject({
      kind: "step",
      payload: 1,
      state: "pending",
    });
    expect(await qudo.jobs.get(second!)).toMatchObject({ payload: 2, state: "pending" });
    expect(await qudo.workOnce()).toBe(true);
    expect(await qudo.workOnce()).toBe(false);
  });

  test("Q11 a unique key is taken, per kind, while its job is in the queue, and free when it has left", async () => {
    const [mail, post] = ["mail", "post"].map((kind) => defineJob(kind, { run: () => undefined }));
    const qudo = newQudo(place.newAddress(), [mail!, post!]);
    const order = { uniqueKey: "k" };
    const first = await qudo.enqueue(mail!, 1, order);
    expect((await qudo.enqueue(mail!, 2, order)).holder).toBe(first.id);
    expect(await qudo.enqueue(post!, 1, order)).toMatchObject({ status: "inserted" });
    expect(await qudo.workOnce({ kinds: ["mail"] })).toBe(true);
    expect(await qudo.enqueue(mail!, 3, order)).toMatchObject({ status: "inserted" });
  });
});

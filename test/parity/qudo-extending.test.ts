/** Rows Q12 to Q14 of docs/parity.md: hooks, serialisers and plugins, as Qudo promised them. One test a row, on every database. */
import { expect, test } from "vitest";
import { defineJob, definePlugin, json, messagePack, Qudo, v8, type Hooks } from "qudo";
import { all, closing, newQudo, onEachDatabase, quiet } from "./support.js";

onEachDatabase((place) => {
  test("Q12 hooks: six points, global and per kind, registered and taken back at run time, in order", async () => {
    const called: string[] = [];
    const points = (name: string): Hooks => ({
      name,
      preEnqueue: (job) => {
        called.push(`${name} preEnqueue`);
        job.options = { ...job.options, priority: 7 };
      },
      serialize: () => void called.push(`${name} serialize`),
      postEnqueue: () => void called.push(`${name} postEnqueue`),
      deserialize: () => void called.push(`${name} deserialize`),
      preWork: () => void called.push(`${name} preWork`),
      postWork: (_, outcome) => void called.push(`${name} postWork ${outcome.state}`),
    });
    const mine = defineJob("mine", {
      hooks: points("own"),
      run: () => void called.push("handler"),
    });
    const other = defineJob("other", { run: () => void called.push("other") });
    const everywhere = points("all");
    const qudo = newQudo(place.newAddress(), [mine, other]);
    qudo.use(everywhere);
    const { id } = await qudo.enqueue(mine, 1);
    expect(await qudo.jobs.get(id)).toMatchObject({ priority: 7 });
    await works(qudo, id);
    expect(called).toEqual([
      "all preEnqueue",
      "own preEnqueue",
      "all serialize",
      "own serialize",
      "own postEnqueue",
      "all postEnqueue",
      "own deserialize",
      "all deserialize",
      "all preWork",
      "own preWork",
      "handler",
      "own postWork done",
      "all postWork done",
    ]);
    called.length = 0;
    expect(await qudo.unuse(everywhere)).toBe(true);
    expect(await qudo.unuse(everywhere)).toBe(false);
    const alone = await qudo.enqueue(other, 1);
    await works(qudo, alone.id);
    expect(called).toEqual(["other"]);
    // What throws before a job is there stops that job only.
    qudo.use({
      kinds: [other],
      preEnqueue: () => {
        throw new Error("not this one");
      },
    });
    await expect(qudo.enqueue(other, 2)).rejects.toThrow("not this one");
    expect((await qudo.enqueue(mine, 2)).status).toBe("inserted");
  });

  test("Q13 serialisers: JSON, MessagePack and structured clone, each read back when the default changes", async () => {
    const seen = new Map<string, unknown>();
    const kinds = [json, messagePack(), v8].map((serializer, i) =>
      defineJob(`kind-${i}`, {
        serializer,
        run: (payload: unknown, job) => void seen.set(job.kind, payload),
      }),
    );
    const address = place.newAddress();
    const qudo = newQudo(address, kinds);
    const payloads = [
      { n: 1 },
      { at: new Date(5), big: 2n ** 60n },
      new Map([["a", new Set([1])]]),
    ];
    const added = await qudo.enqueueMany(kinds.map((kind, i) => [kind, payloads[i]] as const));
    await qudo.close();
    // Another program, for which JSON and nothing else is the default of all of them.
    const plain = kinds.map(({ kind, run }) => defineJob(kind, { run }));
    const later = newQudo(address, plain);
    for (const { id } of added) await works(later, id);
    expect([...seen.values()]).toEqual(payloads);
    // One that cannot be read fails its own job only.
    const own = {
      name: "secret",
      codec: 31_000,
      serialize: () => Buffer.from([1]),
      deserialize: () => 1,
    };
    const secret = defineJob("kind-0", { serializer: own, maxAttempts: 1, run: () => 1 });
    const bad = await newQudo(address).enqueue(secret, 1);
    const good = await later.enqueue(plain[1]!, 1);
    await works(later, bad.id);
    await works(later, good.id);
    expect(await later.jobs.get(good.id)).toMatchObject({ state: "done" });
    const [run] = await all(later.attempts.list({ job: bad.id }));
    expect(run!.error).toContain("QUDO_PAYLOAD_UNREADABLE");
  });

  test("Q14 plugins: named, made with options, reachable from the queue and from every job", async () => {
    const order: string[] = [];
    const counter = definePlugin({
      name: "counter",
      setup({ options }: { options: { step: number } }) {
        order.push("set up");
        let n = 0;
        return {
          api: { next: () => (n += options.step) },
          hooks: { preWork: () => void order.push("its hook") },
          teardown: () => void order.push("torn down"),
        };
      },
    });
    const job = defineJob("job", {
      run: (_: unknown, { plugins }) => (plugins as { counter: { next(): number } }).counter.next(),
    });
    const use = [counter({ step: 5 })] as const;
    const qudo = closing(
      new Qudo({ databases: place.newAddress(), jobs: [job], use, logger: quiet }),
    );
    expect(qudo.plugins.counter.next()).toBe(5);
    const { id } = await qudo.enqueue(job, 1);
    await works(qudo, id);
    expect((await qudo.jobs.get(id))!.last).toMatchObject({ result: 10 });
    expect(() => qudo.use(counter({ step: 1 }))).toThrow(
      expect.objectContaining({ code: "QUDO_PLUGIN_CLASH" }),
    );
    await qudo.close();
    expect(order).toEqual(["set up", "its hook", "torn down"]);
  });
});

/** Until this job has ended, however it did, and all that comes after it. */
async function works(qudo: Qudo, id: string): Promise<void> {
  const worker = await qudo.work({ logger: quiet });
  await qudo.jobs.result(id).catch(() => undefined);
  await worker.stop();
}

/** Row T13 of docs/parity.md: limits, which DBIx::TaskQueue declared and never built. On every database. */
import { expect, test } from "vitest";
import { defineJob, Qudo } from "qudo";
import { all, closing, gate, onEachDatabase, quiet, until } from "./support.js";

onEachDatabase((place) => {
  test("T13 max_running, max_running_per_machine and a rate hold, in several workers together", async () => {
    const end = gate();
    const running: Record<string, number> = {};
    const most: Record<string, number> = {};
    const run = async (_: unknown, { kind }: { kind: string }): Promise<void> => {
      running[kind] = (running[kind] ?? 0) + 1;
      most[kind] = Math.max(most[kind] ?? 0, running[kind]!);
      await end.passed;
      running[kind]!--;
    };
    const four = defineJob("four", { limits: { running: 4 }, run });
    const machine = defineJob("machine", { limits: { perMachine: 2 }, run });
    const rated = defineJob("rated", { limits: { rate: { tokens: 3, per: "1h" } }, run });
    const databases = place.newAddress();
    const jobs = [four, machine, rated];
    const open = (): Qudo => closing(new Qudo({ databases, jobs, logger: quiet }));
    const qudo = open();
    await qudo.migrate();
    const workers = [await qudo.work({ logger: quiet }), await open().work({ logger: quiet })];
    await until("both work", async () => (await qudo.monitor.workers()).length === 2);
    await qudo.enqueueMany(
      jobs.flatMap((job) => Array.from({ length: 8 }, (_, n) => [job, n] as const)),
    );
    await until(
      "as many run as may",
      () => most["four"] === 4 && most["machine"] === 2 && most["rated"] === 3,
    );
    end.open();
    await until("all but the rated ones are done", async () => {
      const lanes = await qudo.monitor.counts();
      return lanes.filter(({ kind }) => kind !== "rated").every(({ done }) => done === 8);
    });
    await Promise.all(workers.map((worker) => worker.stop()));
    expect(most).toEqual({ four: 4, machine: 2, rated: 3 });
    expect(await all(qudo.attempts.list({ kind: "rated" }))).toHaveLength(3);
    expect((await qudo.doctor()).violations).toEqual([]);
  });
});

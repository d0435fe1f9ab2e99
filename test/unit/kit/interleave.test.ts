/** Orders that chance decides: they can be played again, they find what is wrong, and the queue is right in all of them. */
import { expect, test, vi } from "vitest";
import { defineJob, type Qudo } from "qudo";
import { interleave, sleep, type Scenario } from "qudo/testing";

// Each order is some hundred events; on a machine with other work to do they take their time.
vi.setConfig({ testTimeout: 60_000 });

const NO_FAULTS = { crashes: 0, freezes: 0, lostAnswers: 0 };

/** Three jobs that say when they ran, one of them later; `sabotage` makes a check that fails. */
function three(check: (ran: readonly number[], qudo: Qudo) => unknown): Scenario<readonly []> {
  const ran: number[] = [];
  const job = defineJob("note", {
    run: async ({ n }: { n: number }) => {
      await sleep("1s");
      ran.push(n);
      return n;
    },
  });
  return {
    options: { jobs: [job] as unknown as readonly [] },
    run: async (qudo) => {
      const [one, two] = await qudo.enqueueMany([
        [job, { n: 1 }],
        [job, { n: 2 }, { delay: "5s" }],
      ]);
      await sleep("2s");
      await qudo.enqueue(job, { n: 3 });
      expect(await Promise.all([one!.result(), two!.result()])).toEqual([1, 2]);
    },
    check: (qudo) => check(ran, qudo),
  };
}

test("every job is done, whatever happens to the workers", async () => {
  const played = await interleave({ seeds: 8, workers: 3 }, () =>
    three(async (ran, qudo) => {
      expect([...new Set(ran)].toSorted()).toEqual([1, 2, 3]);
      expect((await qudo.monitor.counts()).map(({ done }) => done)).toEqual([3]);
    }),
  );
  expect(played.orders).toBe(8);
  // Otherwise nothing has been shown.
  expect(Math.min(played.crashes, played.freezes, played.lostAnswers)).toBeGreaterThan(3);
});

test("without accidents each runs once", async () => {
  const played = await interleave({ seeds: 6, faults: NO_FAULTS }, () =>
    three((ran) => expect(ran.toSorted()).toEqual([1, 2, 3])),
  );
  expect(played).toMatchObject({ crashes: 0, freezes: 0, lostAnswers: 0 });
});

const careless = () => three((ran) => expect(ran).toHaveLength(3));

test("finds a handler that must not run twice, and plays the same order again to the last event", async () => {
  const faults = { crashes: 3 };
  const failure = (seeds: number | readonly number[]): Promise<Error> =>
    interleave({ seeds, faults }, careless).then(
      () => new Error("nothing found"),
      (error: unknown) => error as Error,
    );
  const found = await failure(60);
  expect(found).toMatchObject({ code: "QUDO_TEST_INTERLEAVING" });
  const seed = Number(/^Seed (\d+): /.exec(found.message)?.[1]);
  expect(found.message).toContain(`seeds: [${seed}]`);
  expect(found.message).toMatch(/s {2}worker \d+: dies/);
  expect(found.cause).toMatchObject({ expected: 3, actual: 4 });
  expect((await failure([seed])).message).toBe(found.message);
  expect((await failure([seed])).message).toBe(found.message);
});

/** What happened in the order of this seed, in words. */
async function script(seed: number): Promise<string> {
  const failed = interleave({ seeds: [seed] }, () =>
    three(() => Promise.reject(new Error("look"))),
  );
  return failed.then(
    () => "",
    (error: unknown) => (error as Error).message.split("\n").slice(1).join("\n"),
  );
}

test("different seeds play different orders", async () => {
  expect(await script(1)).not.toBe(await script(2));
});

test("what the scenario throws is told with its seed", async () => {
  const fails = { ...three(() => undefined), run: () => Promise.reject(new Error("mine")) };
  await expect(interleave({ seeds: [7] }, () => fails)).rejects.toThrow(/^Seed 7: mine\n/);
});

test("a scenario that never ends is told", async () => {
  const waits = { ...three(() => undefined), run: () => new Promise<never>(() => undefined) };
  const failed = interleave({ seeds: [1], workers: 1, faults: NO_FAULTS }, () => waits);
  await expect(failed).rejects.toThrow(/events it is not over/);
});

test.each([
  [{ seed: 1 }, "QUDO_UNKNOWN_OPTION"],
  [{ seeds: "1" }, "QUDO_INVALID_OPTION"],
  [{ seeds: 0 }, "QUDO_INVALID_OPTION"],
  [{ seeds: [-1] }, "QUDO_INVALID_OPTION"],
  [{ workers: 0 }, "QUDO_INVALID_OPTION"],
  [{ faults: { crash: 1 } }, "QUDO_UNKNOWN_OPTION"],
  [{ faults: { crashes: -1 } }, "QUDO_INVALID_OPTION"],
])("refuses %o", async (options, code) => {
  const played = interleave(options as object, () => three(() => undefined));
  await expect(played).rejects.toMatchObject({ code });
});

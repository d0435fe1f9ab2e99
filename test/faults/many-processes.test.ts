/** 64 processes on one SQLite file, each produces and works: nobody sees a busy database, nobody is left out. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Qudo } from "qudo";
import { expect, test } from "vitest";
import { temporaryFolder } from "./support.js";

const SCRIPT = fileURLToPath(new URL("fixtures/shift.mjs", import.meta.url));
const PROCESSES = 64;
const JOBS = 20_000;

interface Left {
  readonly done: number;
  readonly lost: number;
  readonly errors: readonly string[];
}

// About a minute on two cores that have nothing else to do.
test(`${PROCESSES} processes, ${JOBS} jobs, one file`, { timeout: 300_000 }, async () => {
  const folder = temporaryFolder();
  const url = `sqlite:${join(folder.path, "jobs.db")}`;
  const qudo = new Qudo({ databases: url });
  await qudo.migrate();
  const begin = performance.now();
  const share = (i: number): number =>
    Math.floor(JOBS / PROCESSES) + (i < JOBS % PROCESSES ? 1 : 0);
  const children = Array.from({ length: PROCESSES }, (_, i) =>
    fork(SCRIPT, [url, String(share(i))]),
  );
  try {
    await Promise.all(children.map((child) => once(child, "message")));
    const produced = seconds(begin);
    const done = async (): Promise<number> =>
      (await qudo.monitor.counts()).reduce((sum, lane) => sum + lane.done, 0);
    while ((await done()) < JOBS) await sleep(100);
    const worked = seconds(begin);
    const left = await Promise.all(
      children.map(async (child) => {
        const said = once(child, "message");
        child.send("stop");
        return ((await said) as [Left])[0];
      }),
    );
    console.log(
      `${JOBS} jobs produced in ${produced} s, done after ${worked} s, all left after ${seconds(begin)} s; ` +
        `done by each: ${spread(left.map((one) => one.done))}`,
    );
    expect(left.flatMap(({ errors }) => errors)).toEqual([]);
    expect(left.reduce((sum, { lost }) => sum + lost, 0)).toBe(0);
    for (const one of left) expect(one.done).toBeGreaterThan(0);
    const runs = new Set<string>();
    const workers = new Set<unknown>();
    for await (const { job, run, state, result } of qudo.attempts.list()) {
      // A job that was only held and given back ran nowhere.
      if (state === "released") continue;
      expect(state).toBe("done");
      runs.add(`${job}/${run}`);
      workers.add(result);
    }
    expect([runs.size, workers.size]).toEqual([JOBS, PROCESSES]);
    expect((await qudo.doctor()).violations).toEqual([]);
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await qudo.close();
    folder.remove();
  }
});

const seconds = (begin: number): string => ((performance.now() - begin) / 1_000).toFixed(1);

function spread(numbers: readonly number[]): string {
  const sorted = numbers.toSorted((a, b) => a - b);
  return `least ${sorted[0]}, median ${sorted[sorted.length >> 1]}, most ${sorted.at(-1)}`;
}

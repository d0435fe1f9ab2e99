/** The beginning and the end of a process while one of its databases is dead or silent: the others are not kept waiting. */
import { join } from "node:path";
import { defineJob, Qudo } from "qudo";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startProxy, type Fresh, type Proxy, type Weather } from "../servers/index.js";
import { SERVERS } from "./several/servers.js";
import { temporaryFolder } from "./support.js";

/**
 * What is under way: half a second for a statement that nobody answers and three more, and one to try another connection. The
 * goodbye: one more. What a busy machine adds. Were each idle connection tried in turn, it would be more than ten.
 */
const GIVEN_UP_MS = 3_500 + 1_000 + 1_000 + 4_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const AMID = { timeout: 30_000, interval: 20 };

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

describe.each(SERVERS.filter((kind) => kind.here))("a file and $name", ({ fresh }) => {
  let folder: ReturnType<typeof temporaryFolder>;
  let place: Fresh;
  let proxy: Proxy;
  let ran: Set<number>;

  beforeEach(async () => {
    folder = temporaryFolder();
    place = await fresh();
    proxy = await startProxy(place.url);
    ran = new Set();
  });
  afterEach(async () => {
    await proxy.close();
    await place.drop();
    folder.remove();
  });

  const job = defineJob("count", { run: (n: number) => void ran.add(n) });

  function open(): Qudo {
    return new Qudo({
      databases: [
        { name: "file", url: `sqlite:${join(folder.path, "jobs.db")}` },
        { name: "server", url: proxy.through(place.url), statementTimeout: "500ms" },
      ],
      retrySeconds: 0.5,
      jobs: [job],
      logger: quiet,
    });
  }

  test.each<Weather>(["refusing", "silent"])(
    "the server is %s when the process begins: everything goes by the file, and by both when it is back",
    async (weather) => {
      proxy.weather = weather;
      const qudo = open();
      const worker = await qudo.work({ logger: quiet });
      const first = Array.from({ length: 50 }, (_, n) => n);
      const enqueued = await Promise.all(first.map((n) => qudo.enqueue(job, n)));
      expect(new Set(enqueued.map(({ database }) => database))).toEqual(new Set(["file"]));
      await expect.poll(() => ran.size, AMID).toBe(first.length);
      proxy.weather = "fair";
      let n = first.length;
      const used = new Set<string | undefined>();
      const next = async (): Promise<number> =>
        used.add((await qudo.enqueue(job, n++)).database).size;
      await expect.poll(next, AMID).toBe(2);
      await expect.poll(() => ran.size, AMID).toBe(n);
      await worker.stop();
      await qudo.close();
    },
  );

  test.each<Weather>(["refusing", "silent"])(
    "the server becomes %s: whoever stops and closes is not kept for longer than it is given up",
    async (weather) => {
      const qudo = open();
      const worker = await qudo.work({ logger: quiet, lease: "3s" });
      const all = Array.from({ length: 50 }, (_, n) => n);
      await Promise.all(all.map((n) => qudo.enqueue(job, n)));
      await expect.poll(() => ran.size, AMID).toBe(all.length);
      await expect.poll(() => worker.stats.done, AMID).toBe(all.length);
      proxy.weather = weather;
      expect(await timed(() => worker.stop())).toBeLessThan(GIVEN_UP_MS);
      expect(await timed(() => qudo.close())).toBeLessThan(GIVEN_UP_MS);
    },
  );
});

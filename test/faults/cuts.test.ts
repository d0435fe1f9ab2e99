/**
 * Connections cut at their COMMIT, above all between it and its answer: whoever sends again under the same id gets one row, and a
 * worker loses nothing and does nothing twice. Counted by the server itself, past the proxy and past us.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { defineJob, Qudo } from "qudo";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newId } from "../../src/storage/ids.js";
import { startProxy, type Cut, type Fresh, type Proxy } from "../servers/index.js";
import { SERVERS, type Outside } from "./several/servers.js";

/** How often a connection is cut between COMMIT and its answer. The full set: QUDO_CUTS=500. */
const CUTS = Number(process.env["QUDO_CUTS"] ?? 200);
/** Calls that share the COMMIT, at most. */
const TOGETHER = 3;
const JOBS = 600;

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const counted = defineJob("count", { run: (n: number) => n });

const all = (numbers: readonly number[], found: number): Map<number, number> =>
  new Map(numbers.map((n) => [n, found]));

describe.each(SERVERS.filter((kind) => kind.here))("$name", ({ fresh, outside }) => {
  let place: Fresh;
  let proxy: Proxy;
  let beside: Outside;
  let url: string;

  beforeEach(async () => {
    place = await fresh();
    proxy = await startProxy(place.url);
    beside = await outside(place.url);
    url = proxy.through(place.url);
  });
  afterEach(async () => {
    await beside[Symbol.asyncDispose]();
    await proxy.close();
    await place.drop();
  });

  /** How many rows there are of these numbers, by number. */
  async function rowsOf(numbers: readonly number[]): Promise<Map<number, number>> {
    const rows = await beside.ask(
      `select payload_text as n, count(*) as found from qudo_job
       where payload_text in (${numbers.map((n) => `'${n}'`).join()}) group by payload_text`,
    );
    const found = new Map(rows.map((row) => [Number(row["n"]), Number(row["found"])]));
    return new Map(numbers.map((n) => [n, found.get(n) ?? 0]));
  }

  test.each<[Cut, number, number | null]>([
    ["answered", CUTS, 1],
    ["before", CUTS / 5, 0],
    ["sent", CUTS / 5, null],
  ])(
    "a COMMIT cut %s, %d times: sent again under its id it is one row",
    async (cut, cuts, left) => {
      await using qudo = new Qudo({ databases: url });
      await qudo.migrate();
      // The first job of a kind begins its lane, which is a transaction of its own.
      await qudo.enqueue(counted, -1);
      let last = 0;
      for (let round = 0; round < cuts; round++) {
        const together = Array.from({ length: 1 + (round % TOGETHER) }, () => ({
          n: ++last,
          id: newId(),
        }));
        const these = together.map((one) => one.n);
        const send = (): Promise<PromiseSettledResult<{ status: string }>[]> =>
          Promise.allSettled(
            together.map((one) =>
              // Those with a key go by another way, each with a COMMIT of its own.
              qudo.enqueue(counted, one.n, {
                id: one.id,
                ...(round % 2 > 0 && { uniqueKey: `${one.n}` }),
              }),
            ),
          );
        proxy.onCommit = () => cut;
        const first = await send();
        for (const one of first)
          expect(one).toMatchObject({
            status: "rejected",
            reason: {
              name: "DatabaseError",
              code: "QUDO_DATABASE_UNREACHABLE",
              transient: true,
              // Also where the COMMIT never got there: nobody on this side can know.
              happened: "perhaps",
            },
          });
        proxy.onCommit = null;
        const before = await rowsOf(these);
        // Of several in one call those behind the lost one were not sent.
        if (left === 0 || (left === 1 && round % 2 === 0)) expect(before).toEqual(all(these, left));
        const again = await send();
        expect(again.map((one) => one.status)).toEqual(these.map(() => "fulfilled"));
        again.forEach((one, i) => {
          if (one.status !== "fulfilled" || cut === "sent") return;
          expect(one.value.status).toBe(before.get(these[i]!) === 1 ? "duplicate" : "inserted");
        });
      }
      expect(proxy.cuts).toBeGreaterThanOrEqual(cuts);
      const numbers = Array.from({ length: last }, (_, i) => i + 1);
      expect(await rowsOf(numbers)).toEqual(all(numbers, 1));
      expect((await qudo.doctor()).violations).toEqual([]);
    },
  );

  test("a worker whose connections are cut at every third COMMIT: each job done once, no run started twice", async () => {
    const started: string[] = [];
    const job = defineJob("count", {
      run: async (_: number, { id, run }) => {
        started.push(`${id}/${run}`);
        await sleep(10);
      },
    });
    await using direct = new Qudo({ databases: place.url });
    await direct.enqueueMany(Array.from({ length: JOBS }, (_, n) => [counted, n] as const));
    await using qudo = new Qudo({ databases: url, jobs: [job] });
    const worker = await qudo.work({ logger: quiet, concurrency: 5 });
    const turns: (Cut | null)[] = [
      null,
      null,
      "answered",
      null,
      null,
      "before",
      null,
      null,
      "sent",
    ];
    let commits = 0;
    proxy.onCommit = () => turns[commits++ % turns.length]!;
    const done = async (): Promise<number> =>
      (await direct.monitor.counts()).reduce((sum, lane) => sum + lane.done, 0);
    while ((await done()) < JOBS) await sleep(20);
    proxy.onCommit = null;
    await worker.stop();
    expect(proxy.cuts).toBeGreaterThan(20);
    const twice = await beside.ask(
      "select job_id from qudo_outcome where state = 1 group by job_id having count(*) <> 1",
    );
    expect(twice).toEqual([]);
    expect(new Set(started).size).toBe(started.length);
    expect((await direct.doctor()).violations).toEqual([]);
  });
});

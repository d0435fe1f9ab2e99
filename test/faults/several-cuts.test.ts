/**
 * Two databases as one, whose connections are cut between COMMIT and its answer. Whoever enqueues hears nothing of it: the job is in
 * one of the databases, once. Where the answer cannot be had in time the error names database and job, and the row is there once or not at all.
 */
import {
  EnqueueOutcomeUnknownError,
  EnqueuePartlyError,
  defineJob,
  Qudo,
  type Enqueued,
} from "qudo";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newId } from "../../src/storage/ids.js";
import { startProxy, type Fresh, type Proxy } from "../servers/index.js";
import { SERVERS, type Outside } from "./several/servers.js";

/** How often a connection is cut between COMMIT and its answer. The full set: QUDO_CUTS=500. */
const CUTS = Number(process.env["QUDO_CUTS"] ?? 200);
/** Calls that share the COMMIT, at most. */
const TOGETHER = 3;
/** Until when the same database is asked again, and what a busy machine may add. */
const DEADLINE_MS = 5_000 + 1_500;

const job = defineJob("count", { run: (n: number) => n });

interface Place {
  readonly name: "pg" | "my";
  readonly fresh: Fresh;
  readonly proxy: Proxy;
  readonly beside: Outside;
}

describe.skipIf(!SERVERS.every((kind) => kind.here))("PostgreSQL and MariaDB as one", () => {
  let places: Place[];
  let qudo: Qudo;

  beforeEach(async () => {
    places = await Promise.all(
      SERVERS.map(async (kind, i) => {
        const fresh = await kind.fresh();
        const [proxy, beside] = [await startProxy(fresh.url), await kind.outside(fresh.url)];
        return { name: i === 0 ? "pg" : "my", fresh, proxy, beside } as const;
      }),
    );
    qudo = open("spread");
    // The first job of a kind begins its lane, which is a transaction of its own.
    await qudo.migrate();
    for (let n = -1; n > -20; n--) await qudo.enqueue(job, n);
  });
  afterEach(async () => {
    fair();
    await qudo.close();
    for (const { fresh, proxy, beside } of places) {
      await beside[Symbol.asyncDispose]();
      await proxy.close();
      await fresh.drop();
    }
  });

  function open(placement: "spread" | "hash"): Qudo {
    const databases = places.map(({ name, proxy, fresh }) => ({
      name,
      url: proxy.through(fresh.url),
    }));
    const quiet = { debug() {}, info() {}, warn() {}, error() {} };
    return new Qudo({ databases, placement, retrySeconds: 0.2, logger: quiet });
  }

  function fair(): void {
    for (const { proxy } of places) {
      proxy.onCommit = null;
      proxy.weather = "fair";
    }
  }

  const cuts = (): number => places.reduce((sum, { proxy }) => sum + proxy.cuts, 0);

  /** In which databases there is a row for each of these numbers. */
  async function placesOf(numbers: readonly number[]): Promise<("pg" | "my")[][]> {
    const found = new Map<number, ("pg" | "my")[]>(numbers.map((n) => [n, []]));
    for (const { name, beside } of places)
      for (const { n } of await beside.ask("select payload_text as n from qudo_job"))
        found.get(Number(n))?.push(name);
    return [...found.values()];
  }

  async function expectOnce(last: number): Promise<void> {
    const where = await placesOf(Array.from({ length: last }, (_, i) => i + 1));
    expect(where.filter((names) => names.length !== 1)).toEqual([]);
    for (const { name } of places) expect(where.flat()).toContain(name);
  }

  test(`the first COMMIT of a call is cut, ${CUTS} times: it is one row, and nobody hears of it`, async () => {
    let last = 0;
    for (let round = 0; cuts() < CUTS; round++) {
      let armed = true;
      for (const { proxy } of places)
        proxy.onCommit = () => {
          if (!armed) return null;
          armed = false;
          return "answered";
        };
      const together = Array.from({ length: 1 + (round % TOGETHER) }, () => ++last);
      const key = (n: number) => (round % 2 > 0 ? { uniqueKey: `${n}` } : {});
      const answers = await Promise.all(together.map((n) => qudo.enqueue(job, n, key(n))));
      expect(answers.map(({ status }) => status)).toEqual(together.map(() => "inserted"));
    }
    await expectOnce(last);
    for (const { beside } of places)
      expect(
        await beside.ask(
          "select 1 from qudo_unique_key k left join qudo_job j on j.id = k.job_id where j.id is null",
        ),
      ).toEqual([]);
  });

  test("one of them is gone after its COMMIT: the error names it and the job, and the row is there once", async () => {
    for (const { proxy } of places)
      proxy.onCommit = () => {
        // It has committed, and answers nobody any more.
        setImmediate(() => (proxy.weather = "refusing"));
        return "answered";
      };
    const ids = Array.from({ length: 5 }, () => newId());
    const began = performance.now();
    const answers = await Promise.allSettled(ids.map((id, i) => qudo.enqueue(job, i + 1, { id })));
    expect(performance.now() - began).toBeLessThan(DEADLINE_MS);
    for (const [i, answer] of answers.entries()) {
      if (answer.status === "fulfilled") throw new Error("its answer was cut");
      const error = answer.reason as EnqueueOutcomeUnknownError;
      expect(error).toBeInstanceOf(EnqueueOutcomeUnknownError);
      expect(error.code).toBe("QUDO_ENQUEUE_UNKNOWN");
      expect(error.ids).toEqual([ids[i]]);
      expect(await placesOf([i + 1])).toEqual([[error.database]]);
    }
    fair();
    // As the error says: once the database is back the same id makes no second one.
    for (const [i, id] of ids.entries()) {
      await expect
        .poll(() => qudo.enqueue(job, i + 1, { id }).then(({ status }) => status))
        .toBe("duplicate");
      expect((await placesOf([i + 1]))[0]).toHaveLength(1);
    }
  });

  test("enqueueMany is split, and says of each job what became of it", async () => {
    const proxy = places[0]!.proxy;
    proxy.onCommit = () => {
      setImmediate(() => (proxy.weather = "refusing"));
      return "answered";
    };
    const numbers = Array.from({ length: 20 }, (_, i) => i + 1);
    const ids = numbers.map(() => newId());
    const error = await qudo
      .enqueueMany(numbers.map((n, i) => [job, n, { id: ids[i]! }] as const))
      .then(
        () => null,
        (thrown: unknown) => thrown,
      );
    expect(error).toBeInstanceOf(EnqueuePartlyError);
    const { results } = error as EnqueuePartlyError<Enqueued>;
    const where = await placesOf(numbers);
    expect(where.map((names) => names.length)).toEqual(numbers.map(() => 1));
    // Those of the other database are told as written; of each of this one it is said which it is, and where it may be.
    for (const [i, result] of results.entries())
      if (where[i]![0] === "my") expect(result).toMatchObject({ id: ids[i], status: "inserted" });
      else
        expect(result).toMatchObject({
          code: "QUDO_ENQUEUE_UNKNOWN",
          database: "pg",
          ids: expect.arrayContaining([ids[i]]) as string[],
        });
    expect(new Set(where.flat())).toEqual(new Set(["pg", "my"]));
  });

  test("with placement by hash a key goes to its database or nowhere", async () => {
    await using hashed = open("hash");
    const keys = Array.from({ length: 20 }, (_, i) => `key ${i}`);
    for (const [i, uniqueKey] of keys.entries()) await hashed.enqueue(job, i + 1, { uniqueKey });
    const where = await placesOf(keys.map((_, i) => i + 1));
    expect(new Set(where.flat())).toEqual(new Set(["pg", "my"]));
    places[0]!.proxy.weather = "refusing";
    for (const [i, uniqueKey] of keys.entries()) {
      const again = hashed.enqueue(job, 100 + i, { uniqueKey });
      if (where[i]![0] === "my") expect(await again).toMatchObject({ status: "unique" });
      else await expect(again).rejects.toThrow();
    }
    expect((await placesOf(keys.map((_, i) => 100 + i))).flat()).toEqual([]);
  });

  test("all of them are gone: one error names each reason, and nothing is half written", async () => {
    for (const { proxy } of places) proxy.weather = "refusing";
    const error = await qudo.enqueue(job, 1).then(
      () => null,
      (thrown: unknown) => thrown as Error,
    );
    expect(error).toMatchObject({ code: "QUDO_DATABASES_OUT", transient: true });
    for (const { name, fresh } of places) {
      expect(error!.message).toContain(`${name}: `);
      expect(error!.message).not.toContain(decodeURIComponent(new URL(fresh.url).password));
    }
    expect((await placesOf([1])).flat()).toEqual([]);
  });
});

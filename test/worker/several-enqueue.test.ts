/** Enqueueing over several databases as users have it: real files, some of which cannot be opened. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  defineJob,
  EnqueuePartlyError,
  Qudo,
  type Enqueued,
  type QudoOptions,
} from "../../src/index.js";

const note = defineJob("note", { run: (n: number) => n });
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

let folder: string;
let closing: Qudo[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "qudo-several-"));
  closing = [];
});
afterEach(async () => {
  await Promise.all(closing.map((qudo) => qudo.close()));
  rmSync(folder, { recursive: true, force: true });
});

/** "a" and "b" are files; "missing" is one in a folder that does not exist. */
const fileOf = (name: string): string =>
  name === "missing" ? join(folder, "nowhere", "x.db") : join(folder, `${name}.db`);

function over(names: readonly string[], more: Partial<QudoOptions> = {}): Qudo {
  const qudo = new Qudo({
    databases: names.map((name) => ({ name, url: `sqlite:${fileOf(name)}` })),
    jobs: [note],
    logger: quiet,
    ...more,
  } as QudoOptions);
  closing.push(qudo);
  return qudo;
}

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe("while one of them cannot be opened", () => {
  test("every job is there, once, and each answer and event says where", async () => {
    const qudo = over(["a", "missing", "b"]);
    const told = new Map<string, string | undefined>();
    qudo.on("enqueued", ({ id, database }) => told.set(id, database));
    const many = await qudo.enqueueMany(numbers(200).map((n) => [note, n] as const));
    const single = await Promise.all(numbers(50).map((n) => qudo.enqueue(note, n)));
    const all: Enqueued[] = [...many, ...single];
    expect(new Set(all.map(({ database }) => database))).toEqual(new Set(["a", "b"]));
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set(["inserted"]));
    expect(told).toEqual(new Map(all.map(({ id, database }) => [id, database])));
    for (const name of ["a", "b"]) {
      const alone = over([name]);
      const ids = new Set<string>();
      for await (const job of alone.jobs.list()) ids.add(job.id);
      expect(ids).toEqual(
        new Set(all.filter(({ database }) => database === name).map(({ id }) => id)),
      );
    }
  });

  test("with placement by hash keys that belong there are refused, the others are written, and each is told", async () => {
    const qudo = over(["a", "missing", "b"], { placement: "hash" });
    const orders = numbers(60).map((n) => [note, n, { uniqueKey: `key ${n}` }] as const);
    const error: unknown = await qudo.enqueueMany(orders).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EnqueuePartlyError);
    const { code, message, results } = error as EnqueuePartlyError<Enqueued>;
    expect(code).toBe("QUDO_ENQUEUE_PARTLY");
    const written = results.filter((one) => !(one instanceof Error));
    expect(results.length).toBe(60);
    expect(message).toContain(`Of 60 jobs ${written.length} were written`);
    // Two thirds of 60 and one third, give or take: chance brings fewer than 5 once in ten million runs, and the keys stand.
    expect(written.length).toBeGreaterThan(5);
    expect(written.length).toBeLessThan(55);
    for (const one of results)
      if (one instanceof Error) expect(one).toMatchObject({ code: "QUDO_DATABASE_OUT" });
      else expect(["a", "b"]).toContain(one.database);
    // Again: those that are there are found by their keys, the others still have no place.
    const again = await Promise.allSettled(orders.map((order) => qudo.enqueue(...order)));
    again.forEach((one, i) => {
      const before = results[i]!;
      if (before instanceof Error) expect(one.status).toBe("rejected");
      else expect(one).toMatchObject({ value: { status: "unique", holder: before.id } });
    });
  });
});

test("with none that can be opened the error names each, and says what to do", async () => {
  const qudo = over(["missing"]);
  for (let i = 0; i < 2; i++)
    await expect(qudo.enqueue(note, 1)).rejects.toMatchObject({
      code: "QUDO_DATABASES_OUT",
      transient: true,
      message: expect.stringMatching(/missing: .*cannot be opened/) as string,
    });
  await expect(qudo.enqueueMany([[note, 1] as const, [note, 2] as const])).rejects.toMatchObject({
    code: "QUDO_DATABASES_OUT",
  });
});

test("a list of one does what one database does", async () => {
  const qudo = over(["a"]);
  const job = await qudo.enqueue(note, 7);
  expect(job).toMatchObject({ status: "inserted", database: "a" });
  await using worker = await qudo.work({ logger: quiet });
  expect(await job.result()).toBe(7);
  await worker.stop();
});

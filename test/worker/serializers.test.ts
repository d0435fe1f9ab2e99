/** Serializers on a real database: what arrives, what stays readable when the default changes, and what cannot be read. */
import { describe, expect, test } from "vitest";
import {
  defineJob,
  fixed,
  json,
  messagePack,
  Qudo,
  v8,
  type JobDefinition,
  type Serializer,
} from "../../src/index.js";
import { attemptsOf, closing, expectSound, newDatabase, newQudo, until } from "./support.js";

const RICH = { at: new Date(1e12), bytes: new Uint8Array([0, 1, 255]), big: 2n ** 62n };

const reversing: Serializer = {
  name: "reversing",
  codec: 200,
  serialize: (payload) => new TextEncoder().encode(JSON.stringify(payload)).toReversed(),
  deserialize: (stored) =>
    JSON.parse(new TextDecoder().decode((stored as Uint8Array).toReversed())) as unknown,
};

/** Works until so many runs have an outcome, then stops. */
async function worked(qudo: Qudo, runs: number): Promise<void> {
  await using _ = await qudo.work();
  await until("all have ended", async () => (await attemptsOf(qudo)).length >= runs);
}

/** A kind that keeps what it is given. */
function keeping(kind: string, serializer?: Serializer) {
  const seen: unknown[] = [];
  const job = defineJob(kind, {
    maxAttempts: 1,
    ...(serializer && { serializer }),
    run: (payload: unknown) => void seen.push(payload),
  });
  return { job, seen };
}

describe.each([
  ["v8", v8, { ...RICH, map: new Map([[1, new Set(["a"])]]) }],
  ["messagePack", messagePack(), RICH],
  ["one of one's own", reversing, { a: ["ä", null] }],
  ["json, which is text", json, { a: ["ä", null] }],
] as const)("%s", (_, serializer, value) => {
  test("arrives as it was sent, small with the claim and large at the start", async () => {
    const { job, seen } = keeping("rich", serializer);
    const qudo = newQudo([job]);
    const large = { value, text: "x".repeat(300_000) };
    const ids = await qudo.enqueueMany([
      [job, value],
      [job, large],
    ]);
    expect(await qudo.jobs.get(ids[0]!.id)).toMatchObject({ payload: value, unreadable: null });
    await worked(qudo, 2);
    expect(seen).toHaveLength(2);
    for (const sent of [value, large]) expect(seen).toContainEqual(sent);
    await expectSound(qudo);
  });

  test("its schema sees what the worker will see", async () => {
    const validated: unknown[] = [];
    const payload = {
      "~standard": {
        version: 1 as const,
        vendor: "test",
        validate: (given: unknown) => {
          validated.push(given);
          return { value: given };
        },
      },
    };
    const job = defineJob("checked", { payload, serializer, run: () => undefined });
    const qudo = newQudo([job]);
    await qudo.enqueue(job, value);
    await worked(qudo, 1);
    expect(validated).toEqual([value, value]);
  });
});

test("of all kinds that name none is the queue's; and rows stay readable when that changes", async () => {
  const database = newDatabase();
  const made = keeping("note");
  const under = (serializer: Serializer, serializers: Serializer[] = []): Qudo =>
    closing(new Qudo({ databases: database, jobs: [made.job], serializer, serializers }));
  for (const [n, serializer] of [json, v8, messagePack(), reversing].entries()) {
    await using qudo = under(serializer);
    await qudo.enqueue(made.job, { n });
  }
  const later = under(messagePack(), [reversing]);
  const stored: unknown[] = [];
  for await (const { payload } of later.jobs.list()) stored.push(payload);
  expect(stored).toEqual([0, 1, 2, 3].map((n) => ({ n })));
  await worked(later, 4);
  expect(made.seen).toHaveLength(4);
  for (const n of [0, 1, 2, 3]) expect(made.seen).toContainEqual({ n });
});

test("a row that cannot be read fails that job only, and is shown as what it is; where it can be read, it runs", async () => {
  const database = newDatabase();
  const strange = keeping("strange", reversing);
  const plain = keeping("plain");
  const [jobs, ids] = [[strange.job, plain.job], [] as string[]];
  await using producer = closing(new Qudo({ databases: database, jobs }));
  for (const job of jobs) ids.push((await producer.enqueue(job as JobDefinition, { a: 1 })).id);

  const unknowing = defineJob("strange", {
    backoff: fixed("1ms"),
    maxAttempts: 1,
    run: () => undefined,
  });
  const other = closing(new Qudo({ databases: database, jobs: [unknowing, plain.job] }));
  expect(await other.jobs.get(ids[0]!)).toMatchObject({
    payload: null,
    unreadable: expect.stringContaining("200") as string,
  });
  await worked(other, 2);
  expect(plain.seen).toEqual([{ a: 1 }]);
  const [attempt] = await attemptsOf(other, ids[0]);
  expect(attempt).toMatchObject({
    state: "abandoned",
    error: expect.stringContaining("QUDO_PAYLOAD_UNREADABLE") as string,
  });
  // Operators need not be able to read it.
  expect(await other.jobs.retry(ids[0]!)).toEqual({ status: "requeued" });
  // One more for the operator's word.
  await worked(producer, 4);
  expect(strange.seen).toEqual([{ a: 1 }]);
  await expectSound(other);
});

test("what the serializer throws at enqueue refuses that job, and nothing is written", async () => {
  const job = defineJob("picky", {
    serializer: {
      ...reversing,
      serialize: (payload) => {
        if (payload === 2) throw new TypeError("not two");
        return String(payload);
      },
    },
    run: () => undefined,
  });
  const qudo = newQudo([job]);
  const orders = [1, 2].map((n) => [job, n] as const);
  await expect(qudo.enqueueMany(orders)).rejects.toMatchObject({
    code: "QUDO_INVALID_PAYLOAD",
    cause: { message: "not two" },
  });
  expect(await qudo.monitor.counts()).toEqual([]);
});

test("two with one number are refused when the Qudo is made", () => {
  const twin = { ...reversing, name: "twin" };
  const jobs = [keeping("a", reversing).job, keeping("b", twin).job];
  expect(() => new Qudo({ databases: "sqlite::memory:", jobs })).toThrow(
    expect.objectContaining({ code: "QUDO_SERIALIZER_CLASH" }),
  );
});

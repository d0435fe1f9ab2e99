/**
 * Whatever a program hands in by mistake, through the public API, on a real file: a typed error before anything is written,
 * and jobs that were there are as they were. The rules one by one are in test/unit; here is what reaches them.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  defineJob,
  exponential,
  fixed,
  idFromName,
  InvalidInputError,
  linearThenExponential,
  Qudo,
  QudoError,
} from "../../src/index.js";
import { newId } from "../../src/storage/ids.js";
import { expectSound, newPath, newQudo, until, watchedHandle } from "./support.js";

// What a program without types may do.
// oxlint-disable-next-line typescript/no-explicit-any -- this file hands in what types forbid
type Anything = any;

const note = defineJob("note", { run: (_payload: unknown) => undefined });
const path = newPath();
let qudo: Qudo;
let before: unknown;

/** Everything that could have changed: each row of each table of ours. */
function everything(): Record<string, unknown[]> {
  const { handle } = watchedHandle(path);
  const tables = handle
    .prepare("select name from sqlite_master where type = 'table' and name like 'qudo%' order by 1")
    .all() as { name: string }[];
  const rows = Object.fromEntries(
    tables.map(({ name }) => [name, handle.prepare(`select * from ${name}`).all()]),
  );
  handle.close();
  return rows;
}

beforeAll(async () => {
  qudo = new Qudo({ databases: `sqlite:${path}`, jobs: [note] });
  await qudo.enqueueMany([
    [note, "waiting", { uniqueKey: "k" }],
    [note, "delayed", { delay: "1h" }],
  ]);
  await qudo.enqueue(defineJob("other", { run: () => undefined }), "of a kind that nobody has");
  before = everything();
});

afterAll(() => qudo.close());

const nested = (levels: number): unknown =>
  Array.from({ length: levels }).reduce<unknown>((inner) => ({ a: inner }), 1);
const cycle: Record<string, unknown> = { deep: [{}] };
(cycle["deep"] as unknown[])[0] = cycle;
const throwing = Object.defineProperty({}, "a", {
  enumerable: true,
  get: () => {
    throw new RangeError("mine");
  },
});

type Call = () => unknown;
type Row = readonly [what: string, call: Call, code: string, says: string];

const payload = (
  what: string,
  value: unknown,
  says: string,
  code = "QUDO_INVALID_PAYLOAD",
): Row => [`payload: ${what}`, () => qudo.enqueue(note, value), code, says];
const option = (options: Anything, code: string, says: string): Row => [
  `enqueue: ${Object.keys(options ?? {}).join(", ") || String(options)}`,
  () => qudo.enqueue(note, 1, options),
  code,
  says,
];
const invalid = (what: string, call: Call, says: string): Row => [
  what,
  call,
  "QUDO_INVALID_OPTION",
  says,
];

const PAYLOADS: Row[] = [
  // "ä" is one character and two bytes.
  payload("1 MiB and a byte", "ä".repeat(524_287) + "x", "1048576", "QUDO_PAYLOAD_TOO_LARGE"),
  payload("65 deep", nested(65), "nested deeper than 64"),
  payload("a cycle", cycle, "payload.deep[0]: it refers back"),
  payload("a BigInt", { n: [1n] }, "payload.n[0]: a bigint"),
  payload("NaN", { n: Number.NaN }, "payload.n: NaN"),
  payload("minus Infinity", [-Infinity], "payload[0]: -Infinity"),
  payload("a function", { f: () => 1 }, "payload.f: a function"),
  payload("a symbol", [Symbol("s")], "payload[0]: a symbol"),
  payload("an invalid Date", { at: new Date(Number.NaN) }, "payload.at: an invalid Date"),
  payload("half a surrogate pair", { t: "a\ud800" }, "payload.t: the text"),
  payload("half a pair in a key", { "\udc00": 1 }, "the text holds"),
  payload("a NUL", { t: ["a\0b"] }, "payload.t[0]: the text"),
  payload("a NUL in a key", { "a\0b": 1 }, "the text holds"),
  payload("a Map", { m: new Map() }, "payload.m: a Map"),
  payload("what throws when it is read", { throwing }, "cannot be read"),
];

const OPTIONS: Row[] = [
  option({ priority: 32_768 }, "QUDO_INVALID_OPTION", "-32767 to 32767"),
  option({ priority: "5" }, "QUDO_INVALID_OPTION", "-32767 to 32767"),
  option({ delay: "3651d" }, "QUDO_INVALID_DURATION", "10 years"),
  option({ delay: 10 * 365 * 86_400 + 1 }, "QUDO_INVALID_DURATION", "10 years"),
  option({ delay: {} }, "QUDO_INVALID_DURATION", "delay"),
  option({ keep: "11w3" }, "QUDO_INVALID_DURATION", "keep"),
  option({ maxAttempts: 0 }, "QUDO_INVALID_OPTION", "maxAttempts"),
  option({ maxAttempts: -2 }, "QUDO_INVALID_OPTION", "maxAttempts"),
  option({ queue: "q".repeat(129) }, "QUDO_INVALID_NAME", "1 to 128"),
  option({ queue: "a\u001bb" }, "QUDO_INVALID_NAME", "control characters"),
  option({ uniqueKey: "a\0b" }, "QUDO_INVALID_OPTION", "uniqueKey"),
  option({ id: `${newId()}0` }, "QUDO_INVALID_ID", "UUID"),
  option({ retries: 3 }, "QUDO_UNKNOWN_OPTION", "maxAttempts"),
  option(JSON.parse('{"__proto__":{"priority":5}}'), "QUDO_UNKNOWN_OPTION", "priority"),
  option({ constructor: 1 }, "QUDO_UNKNOWN_OPTION", "priority"),
  option(null, "QUDO_INVALID_OPTION", "null"),
  option("5s", "QUDO_INVALID_OPTION", "5s"),
  option([5], "QUDO_INVALID_OPTION", "object"),
];

const on = (databases: Anything) => new Qudo({ databases }).migrate();
const at = (more: Anything) => on({ url: `sqlite:${path}`, ...more });
const define =
  (options: Anything): Call =>
  () =>
    defineJob("x", { run: () => 1, ...options });
const unknown = (what: string, call: Call, known: string): Row => [
  what,
  call,
  "QUDO_UNKNOWN_OPTION",
  known,
];

const CALLS: Row[] = [
  invalid("new Qudo()", () => new (Qudo as Anything)(), "new Qudo"),
  invalid("new Qudo(address)", () => new (Qudo as Anything)(`sqlite:${path}`), "as an object"),
  unknown("new Qudo", () => new Qudo({ database: path } as Anything), "databases"),
  invalid("jobs by name", () => new Qudo({ databases: "", jobs: ["mail"] as Anything }), '"mail"'),
  invalid(
    "jobs as an object",
    () => new Qudo({ databases: "", jobs: { note } as Anything }),
    "list",
  ),
  ["no database", () => on(undefined), "QUDO_INVALID_URL", "sqlite:jobs.db"],
  ["a database that is null", () => on(null), "QUDO_INVALID_URL", "sqlite:jobs.db"],
  unknown("databases", () => at({ sync: "NORMAL" }), "synchronous"),
  invalid("synchronous", () => at({ synchronous: "OFF; drop table qudo_job" }), '"FULL"'),
  invalid("clock", () => at({ clock: 5 }), "clock"),
  invalid("create", () => at({ create: "no" }), "create"),
  invalid("thread", () => at({ thread: 1 }), "thread"),
  invalid("handle", () => on({ handle: {} }), "handle"),
  ["defineJob: name", () => defineJob("a\0b", { run: () => 1 }), "QUDO_INVALID_NAME", "job kind"],
  unknown("defineJob", define({ retries: 1 }), "maxAttempts"),
  invalid("defineJob: attempts", define({ maxAttempts: 1.5 }), "maxAttempts"),
  ["defineJob: timeout", define({ timeout: "4000d" }), "QUDO_INVALID_DURATION", "timeout"],
  unknown("exponential", () => exponential({ factr: 3 } as Anything), "factor"),
  invalid("exponential: factor", () => exponential({ factor: "3" as Anything }), "factor"),
  invalid("exponential: jitter", () => exponential({ jitter: Number.NaN }), "jitter"),
  invalid("linearThenExponential", () => linearThenExponential({ linear: 0 }), "linear"),
  ["fixed", () => fixed(-1), "QUDO_INVALID_DURATION", "backoff"],
  ["idFromName", () => idFromName(5 as Anything), "QUDO_INVALID_ID", "texts or bytes"],
  invalid("enqueue by name", () => qudo.enqueue("note" as Anything, 1), '"note"'),
  invalid("enqueue nothing", () => qudo.enqueue(undefined as Anything, 1), "defineJob"),
  invalid("enqueueMany: no list", () => qudo.enqueueMany("ab" as Anything), "[job, payload"),
  invalid("enqueueMany: null", () => qudo.enqueueMany([[note, 1], null] as Anything), "[job, pay"),
  unknown("enqueueMany", () => qudo.enqueueMany([[note, 1, { prio: 1 } as Anything]]), "priority"),
  [
    "enqueueMany: the last one bad",
    () =>
      qudo.enqueueMany([...Array.from({ length: 50 }, () => [note, 1]), [note, 1n]] as Anything),
    "QUDO_INVALID_PAYLOAD",
    "bigint",
  ],
  unknown("work", () => qudo.work({ concurency: 5 } as Anything), "concurrency"),
  invalid("work(null)", () => qudo.work(null as Anything), "null"),
  invalid("work: queues", () => qudo.work({ queues: { mail: 0 } }), "0"),
  ["work: name", () => qudo.work({ name: "a\nb" }), "QUDO_INVALID_NAME", "worker name"],
  invalid("work: lease", () => qudo.work({ lease: "10ms" }), "lease"),
  invalid("work: logger", () => qudo.work({ logger: {} as Anything }), "debug"),
  ["jobs.get", () => qudo.jobs.get("constructor"), "QUDO_INVALID_ID", "UUID"],
  ["jobs.cancel", () => qudo.jobs.cancel("' or 1=1 --"), "QUDO_INVALID_ID", "UUID"],
  ["jobs.retry", () => qudo.jobs.retry(null as Anything), "QUDO_INVALID_ID", "UUID"],
  unknown("attempts.list", () => qudo.attempts.list({ kin: "a" } as Anything).next(), "kind"),
  invalid(
    "attempts.list: states",
    () => qudo.attempts.list({ states: ["__proto__"] as Anything }).next(),
    "run state",
  ),
  invalid(
    "monitor.changesSince",
    () => qudo.monitor.changesSince("1h", null as Anything).next(),
    "null",
  ),
  invalid("monitor.follow", () => qudo.monitor.follow(null as Anything).next(), "null"),
  invalid(
    "monitor.follow: signal",
    () => qudo.monitor.follow({ signal: {} as Anything }).next(),
    "AbortSignal",
  ),
  invalid("monitor.counts: ended", () => qudo.monitor.counts({ ended: "no" as Anything }), "true"),
  ...(
    ["counts", "countsByDatabase", "figures", "figuresByDatabase", "running", "load"] as const
  ).map((name): Row => [
    `monitor.${name}: queue`,
    () => qudo.monitor[name]({ queue: Symbol("q") as Anything }),
    "QUDO_INVALID_NAME",
    "queue",
  ]),
  [
    "monitor.pending: kind",
    () => qudo.monitor.pending({ kind: cycle as Anything }),
    "QUDO_INVALID_NAME",
    "kind",
  ],
  invalid("jobs.page: after", () => qudo.jobs.page({ after: 5 as Anything }), "next"),
  invalid("attempts.page: after", () => qudo.attempts.page({ after: 5 as Anything }), "next"),
  invalid("queue: logger", () => qudo.queue("a", { logger: null as Anything }), "debug"),
  unknown("monitor.counts", () => qudo.monitor.counts({ kin: "a" } as Anything), "kind"),
];

describe("refused, by name, before anything is written", () => {
  test.each([...PAYLOADS, ...OPTIONS, ...CALLS])("%s", async (_, call, code, says) => {
    // An error may be thrown at once or reject: either way it is a typed one.
    const error = await new Promise((resolve) => resolve(call())).then(
      (value) => expect.unreachable(`it was accepted: ${JSON.stringify(value)}`),
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(QudoError);
    expect(error).toMatchObject({ code });
    if (code !== "QUDO_NO_JOBS") expect(error).toBeInstanceOf(InvalidInputError);
    const { message } = error as QudoError;
    expect(message).toContain(says);
    expect(message.length).toBeLessThan(500);
    expect(message.isWellFormed() && !message.includes("\0")).toBe(true);
  });

  test("after all of it each row of each table is as it was", async () => {
    expect(everything()).toEqual(before);
    await expectSound(qudo);
  });
});

describe("accepted, at the very edge", () => {
  const keys = JSON.parse(
    '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
  );

  test("a payload of 1 MiB, one 64 deep, and keys that are traps arrive as they were sent", async () => {
    const sent = ["ä".repeat(524_287), nested(64), keys, { n: 2 ** 60, tiny: 5e-324 }];
    const got: unknown[] = [];
    const echo = defineJob("echo", { run: (value: unknown) => void got.push(value) });
    const queue = newQudo([echo]);
    await queue.enqueueMany(sent.map((value) => [echo, value] as const));
    await queue.work({ concurrency: 1 });
    await until("all have run", () => got.length === sent.length);
    expect(got).toEqual(sent);
    expect(Object.hasOwn(got[2] as object, "__proto__")).toBe(true);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("the farthest options", async () => {
    const queue = newQudo([]);
    const far = {
      priority: -32_767,
      delay: "3650d",
      maxAttempts: 1_000_000,
      queue: "q".repeat(128),
    };
    const { id } = await queue.enqueue(note, 1, { ...far, uniqueKey: "k".repeat(1_024) });
    expect(await queue.jobs.get(id)).toMatchObject({ priority: -32_767, maxAttempts: 1_000_000 });
  });

  test("a job named constructor: only its own definition runs it", async () => {
    const ran: string[] = [];
    const trap = defineJob("constructor", { run: () => void ran.push("trap") });
    const plain = defineJob("plain", { run: () => void ran.push("plain") });
    const file = newPath();
    const without = newQudo([plain], file);
    const { id } = await without.enqueue(trap, null);
    await without.enqueue(plain, null);
    await without.work();
    await until("the known one has run", () => ran.length === 1);
    expect(await without.jobs.get(id)).toMatchObject({ kind: "constructor", state: "pending" });
    await newQudo([trap], file).work();
    await until("its own definition has run it", () => ran.length === 2);
    expect(ran).toEqual(["plain", "trap"]);
  });
});

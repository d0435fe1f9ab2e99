/** Every public function that takes options refuses what it does not know by name, names what it knows, and takes nothing but an object. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  defineJob,
  exponential,
  linearThenExponential,
  Qudo,
  type QudoOptions,
} from "../../src/index.js";
import { newId } from "../../src/storage/ids.js";
import { openHandle } from "../conformance/support/handle.js";
import { newPath } from "./support.js";

const note = defineJob("note", { run: (_payload: unknown) => undefined });
const databases = "sqlite::memory:";

type Call = (qudo: Qudo, options: never, handle: object) => unknown;
/** Each with one of the options that it knows. */
const calls: Record<string, readonly [known: string, call: Call]> = {
  Qudo: ["databases", (_, options) => new Qudo(options)],
  databases: ["url", (_, options) => new Qudo({ databases: options }).migrate()],
  "keep of Qudo": ["counts", (_, keep) => new Qudo({ databases, keep } as QudoOptions)],
  defineJob: ["payload", (_, options) => defineJob("k", options)],
  "keep of defineJob": ["other", (_, keep) => defineJob("k", { keep, run: () => 1 })],
  exponential: ["delay", (_, options) => exponential(options)],
  linearThenExponential: ["linear", (_, options) => linearThenExponential(options)],
  enqueue: ["uniqueKey", (qudo, options) => qudo.enqueue(note, 1, options)],
  "keep of enqueue": ["done", (qudo, keep) => qudo.enqueue(note, 1, { keep })],
  enqueueMany: ["uniqueKey", (qudo, options) => qudo.enqueueMany([[note, 1, options]])],
  enqueueSync: ["uniqueKey", (qudo, options) => qudo.enqueueSync(note, 1, options)],
  "in, enqueue": ["delay", (qudo, options, db) => qudo.in(db).enqueue(note, 1, options)],
  "in, enqueueMany": ["delay", (qudo, o, db) => qudo.in(db).enqueueMany([[note, 1, o]])],
  "in, enqueueSync": ["delay", (qudo, options, db) => qudo.in(db).enqueueSync(note, 1, options)],
  "in, enqueueManySync": ["delay", (qudo, o, db) => qudo.in(db).enqueueManySync([[note, 1, o]])],
  result: [
    "timeout",
    async (qudo, options) => (await qudo.enqueue(note, 1, { delay: 9 })).result(options),
  ],
  work: ["concurrency", (qudo, options) => qudo.work(options)],
  workOnce: ["kinds", (qudo, options) => qudo.workOnce(options)],
  "worker.stop": [
    "grace",
    async (qudo, options) => {
      await using worker = await qudo.work({ signals: false });
      await worker.stop(options);
    },
  ],
  pause: ["kind", (qudo, options) => qudo.pause("q", options)],
  resume: ["kind", (qudo, options) => qudo.resume("q", options)],
  prune: ["dryRun", (qudo, options) => qudo.prune(options)],
  "jobs.list": ["since", (qudo, filter) => qudo.jobs.list(filter).next()],
  "jobs.page": ["limit", (qudo, filter) => qudo.jobs.page(filter)],
  "jobs.log": ["run", (qudo, options) => qudo.jobs.log(newId(), options).next()],
  "jobs.result": ["signal", (qudo, options) => qudo.jobs.result(newId(), options)],
  "jobs.cancelAll": ["state", (qudo, filter) => qudo.jobs.cancelAll(filter)],
  "jobs.cancelAll, options": ["dryRun", (qudo, options) => qudo.jobs.cancelAll({}, options)],
  "jobs.retryAll": ["kind", (qudo, filter) => qudo.jobs.retryAll(filter)],
  "jobs.retryAll, options": ["dryRun", (qudo, options) => qudo.jobs.retryAll({}, options)],
  "attempts.list": ["states", (qudo, filter) => qudo.attempts.list(filter).next()],
  "monitor.counts": ["queue", (qudo, filter) => qudo.monitor.counts(filter)],
};

/** What is text or a number is no mistake there. */
const TAKES_TEXT = new Set(["databases", "keep of defineJob", "keep of enqueue"]);

const path = newPath();
const shared = new Qudo({ databases: `sqlite:${path}`, jobs: [note] });
let handle: object;

beforeAll(async () => {
  await shared.migrate();
  handle = await openHandle(path);
});
afterAll(() => shared.close());

async function refusal(call: Call, options: unknown): Promise<Error & { code?: string }> {
  try {
    await call(shared, options as never, handle);
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was accepted");
}

test.each(Object.entries(calls))("%s", async (name, [known, call]) => {
  const error = await refusal(call, { dealy: 1 });
  expect(error).toMatchObject({ name: "InvalidInputError", code: "QUDO_UNKNOWN_OPTION" });
  expect(error.message).toContain('"dealy"');
  expect(error.message.split("It knows:")[1]).toContain(known);
  for (const value of [null, [], ...(TAKES_TEXT.has(name) ? [] : [7, "text"])])
    expect((await refusal(call, value)).name, JSON.stringify(value)).toBe("InvalidInputError");
});

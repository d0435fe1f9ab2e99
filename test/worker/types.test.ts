/** Types: the payload's type flows from the schema, or from the handler's parameter, to enqueue. Checked by `tsc -p .`. */
import { describe, expect, expectTypeOf, test } from "vitest";
import {
  defineJob,
  jobsWith,
  Qudo,
  snooze,
  type ContextOf,
  type Enqueued,
  type JobDefinition,
  type StandardSchema,
} from "../../src/index.js";

/** What a library such as Zod makes: text comes in, a Date goes to the handler. */
interface Mail {
  to: string;
  at: string;
}
interface ReadyMail {
  to: string;
  at: Date;
}
const mailSchema: StandardSchema<Mail, ReadyMail> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => {
      const { to, at } = value as Mail;
      return { value: { to, at: new Date(at) } };
    },
  },
};

const mail = defineJob("mail", {
  payload: mailSchema,
  run: (payload, job) => {
    expectTypeOf(payload).toEqualTypeOf<ReadyMail>();
    expectTypeOf(job.signal).toEqualTypeOf<AbortSignal>();
    expectTypeOf(job.abort).returns.toBeNever();
    return payload.at.getTime();
  },
});
const resize = defineJob("resize", {
  run: async (image: { file: string; width: number }) => image,
});
const bare = defineJob("bare", { run: () => undefined });

interface Db {
  readonly db: { query(sql: string): void };
}
interface Mailer {
  readonly mailer: { send(to: string): void };
}
const store = jobsWith<Db>()("store", {
  payload: mailSchema,
  run: (payload, job) => {
    expectTypeOf(payload).toEqualTypeOf<ReadyMail>();
    expectTypeOf(job.context).toEqualTypeOf<Db>();
    return payload.to.length;
  },
});
const send = jobsWith<Mailer>()("send", {
  run: (to: string, job) => job.context.mailer.send(to),
});
const later = defineJob("later", {
  run: (n: number, job) => {
    expectTypeOf(job.context).toEqualTypeOf<unknown>();
    return n > 1 ? snooze("1s") : { n };
  },
});
const db: Db["db"] = { query: () => undefined };
const mailer: Mailer["mailer"] = { send: () => undefined };
const databases = "sqlite::memory:";

/** Contexts must suit every job; jobs without one need none. Opens nothing. */
function contexts(): Qudo[] {
  return [
    new Qudo({ databases }),
    new Qudo({ databases, jobs: [mail, resize, bare] }),
    new Qudo({ databases, jobs: [mail], context: { anything: 1 } }),
    new Qudo({ databases, jobs: [mail, store], context: { db } }),
    new Qudo({ databases, jobs: [store, send], context: { db, mailer } }),
    // @ts-expect-error -- a job needs a context
    new Qudo({ databases, jobs: [mail, store] }),
    // @ts-expect-error -- what it has suits one job only
    new Qudo({ databases, jobs: [store, send], context: { db } }),
    // @ts-expect-error -- it is no Db
    new Qudo({ databases, jobs: [store], context: { db: 1 } }),
    new Qudo({ databases, jobs: [store, send] as JobDefinition[] }),
  ];
}

/** Never called: only its types are looked at. */
async function misuse(qudo: Qudo): Promise<void> {
  const image = { file: "a.png", width: 1 };
  await qudo.enqueue(mail, { to: "a", at: "2026-01-01" });
  // @ts-expect-error -- the schema takes text, the Date is for the handler
  await qudo.enqueue(mail, { to: "a", at: new Date() });
  // @ts-expect-error -- a property is missing
  await qudo.enqueue(mail, { to: "a" });
  await qudo.enqueue(resize, { file: "a.png", width: 1 });
  // @ts-expect-error -- a width is a number
  await qudo.enqueue(resize, { file: "a.png", width: "1" });
  // @ts-expect-error -- another job's payload
  await qudo.enqueue(resize, { to: "a", at: "2026-01-01" });
  // @ts-expect-error -- there is no such option
  await qudo.enqueue(resize, { file: "a.png", width: 1 }, { dealy: "1s" });
  await qudo.enqueue(bare, { anything: true });

  await qudo.enqueueMany([
    [mail, { to: "a", at: "2026-01-01" }],
    [resize, { file: "a.png", width: 1 }, { priority: 1 }],
  ]);
  await qudo.enqueueMany([
    [mail, { to: "a", at: "2026-01-01" }],
    // @ts-expect-error -- each payload is checked against the job beside it
    [resize, { to: "a", at: "2026-01-01" }],
  ]);
  await qudo.enqueueMany([1, 2, 3].map((width) => [resize, { file: "a.png", width }] as const));
  // @ts-expect-error -- also where they are made in a loop
  await qudo.enqueueMany([1, 2, 3].map((width) => [resize, { width }] as const));

  // Results come as the handler returned them; a snooze is none.
  expectTypeOf(await qudo.enqueue(mail, { to: "a", at: "b" })).toEqualTypeOf<Enqueued<number>>();
  expectTypeOf(await (await qudo.enqueue(resize, image)).result()).toEqualTypeOf<typeof image>();
  expectTypeOf(await (await qudo.enqueue(later, 1)).result()).toEqualTypeOf<{ n: number }>();
  expectTypeOf(await qudo.jobs.result<number>("id")).toEqualTypeOf<number>();
  // Those that need a context are enqueued as any other.
  expectTypeOf(qudo.enqueueSync(store, { to: "a", at: "b" })).toEqualTypeOf<Enqueued<number>>();

  const tx = qudo.in({});
  expectTypeOf(await tx.enqueue(resize, image)).toEqualTypeOf<Enqueued<typeof image>>();
  expectTypeOf(tx.enqueueSync(send, "a")).toEqualTypeOf<Enqueued<void>>();
  tx.enqueueManySync([
    [resize, image],
    [send, "a"],
  ]);
  // @ts-expect-error -- another job's payload
  tx.enqueueSync(send, image);
  // @ts-expect-error -- each payload is checked against the job beside it
  await tx.enqueueMany([[send, image]]);
  // @ts-expect-error -- and here
  qudo.enqueueSync(resize, { file: "a.png" });

  qudo.on("failed", ({ id, delayMs, error }) => {
    expectTypeOf(id).toEqualTypeOf<string>();
    expectTypeOf(delayMs).toEqualTypeOf<number>();
    expectTypeOf(error).toEqualTypeOf<string>();
  });
  // @ts-expect-error -- there is no such event
  qudo.on("finished", () => undefined);
  // @ts-expect-error -- there is no such state
  qudo.jobs.list({ state: "doen" });

  // @ts-expect-error -- the handler's parameter contradicts the schema
  defineJob("wrong", { payload: mailSchema, run: (payload: { n: number }) => payload.n });
  // @ts-expect-error -- a job without a handler
  defineJob("idle", {});
}

describe("types", () => {
  test("flow from the schema and from the handler's parameter", () => {
    expectTypeOf(mail).toEqualTypeOf<JobDefinition<Mail, ReadyMail, number>>();
    expectTypeOf<Parameters<typeof resize.run>[0]>().toEqualTypeOf<{
      file: string;
      width: number;
    }>();
    expectTypeOf(bare).toExtend<JobDefinition<unknown, unknown, unknown>>();
    expect(typeof misuse).toBe("function");
  });

  test("the context of several jobs is what suits them all", () => {
    expectTypeOf<ContextOf<[typeof mail, typeof bare]>>().toEqualTypeOf<unknown>();
    expectTypeOf<ContextOf<[typeof mail, typeof store]>>().toEqualTypeOf<Db>();
    expectTypeOf<ContextOf<[typeof store, typeof send]>>().toExtend<Db & Mailer>();
    expectTypeOf(store).toEqualTypeOf<JobDefinition<Mail, ReadyMail, number, Db>>();
    expect(contexts()).toHaveLength(9);
  });
});

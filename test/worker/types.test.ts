/** Types: the payload's type flows from the schema, or from the handler's parameter, to enqueue. Checked by `tsc -p .`. */
import { describe, expect, expectTypeOf, test } from "vitest";
import { defineJob, type JobDefinition, type Qudo, type StandardSchema } from "../../src/index.js";

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

/** Never called: only its types are looked at. */
async function misuse(qudo: Qudo): Promise<void> {
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
});

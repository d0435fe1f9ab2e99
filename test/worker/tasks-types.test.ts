/** Types of consuming by hand: payloads flow from the kinds that are fetched. Checked by `tsc -p .`. */
import { expectTypeOf, test } from "vitest";
import { defineJob, type Qudo, type StandardSchema, type Task } from "../../src/index.js";

const schema: StandardSchema<{ at: string }, { at: Date }> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => ({ value: { at: new Date((value as { at: string }).at) } }),
  },
};

const dated = defineJob("dated", { payload: schema, run: () => undefined });
const counted = defineJob("counted", { run: (_n: number) => undefined });

/** Never called: only its types are looked at. */
const typed = async (qudo: Qudo): Promise<void> => {
  const one = qudo.queue("q", { kinds: [dated] });
  expectTypeOf((await one.fetch())[0]!.payload).toEqualTypeOf<{ at: Date }>();
  expectTypeOf(one.addMsg).parameter(0).toEqualTypeOf<{ at: string }>();
  // @ts-expect-error -- no date
  await one.addMsg({ at: 5 });
  const message = (await one.getMsg())!;
  expectTypeOf(message).toEqualTypeOf<[Task<{ at: Date }>, { at: Date }]>();
  await one.removeMsg(message[0]);

  const two = qudo.queue("q", { kinds: [counted, dated] });
  for await (const task of two) expectTypeOf(task.payload).toEqualTypeOf<number | { at: Date }>();
  expectTypeOf(two.addMsg).parameter(0).toEqualTypeOf<number>();

  const named = qudo.queue("q", { kinds: ["by.name", counted] });
  for await (const task of named.each({ batch: 2 })) expectTypeOf(task.payload).toBeUnknown();
  expectTypeOf(named.addMsg).parameter(0).toBeUnknown();

  const any = qudo.queue("q");
  expectTypeOf(await any.next(3)).toEqualTypeOf<Task<unknown>[]>();
  // @ts-expect-error -- no such option
  qudo.queue("q", { concurrency: 3 });
};

test("what is fetched, and what is added", () => {
  expectTypeOf(typed).toBeFunction();
});

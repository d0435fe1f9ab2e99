/** What a test says of jobs that were enqueued, and what it is told when there are none. */
import { expect, test, vi } from "vitest";
import { defineJob, InvalidInputError } from "qudo";
import { ExpectationError, testQudo } from "qudo/testing";

vi.setConfig({ testTimeout: 30_000 });

const mail = defineJob("mail", {
  queue: "post",
  redact: ["password"],
  run: (_mail: { to: string; password?: string; at?: string[] }) => undefined,
});
const other = defineJob("other", { run: () => undefined });
const kitWith = () => testQudo({ jobs: [mail, other] });

test("finds jobs by all that was said of them", async () => {
  await using kit = await kitWith();
  const { id } = await kit.qudo.enqueue(
    mail,
    { to: "a", at: ["x", "y"] },
    { delay: "1h", priority: 3, uniqueKey: "k" },
  );
  const found = await kit.expectEnqueued(mail, {
    payload: { to: "a", at: ["x", "y"], password: undefined },
    queue: "post",
    delay: "1h",
    priority: 3,
    uniqueKey: "k",
    times: 1,
  });
  expect(found.map((job) => job.id)).toEqual([id]);
  await kit.expectEnqueued(mail);
  await kit.expectEnqueued(mail, { payload: expect.objectContaining({ to: "a" }) });
  await kit.expectEnqueued(mail, { payload: { to: expect.any(String), at: expect.anything() } });
  await kit.expectEnqueued(mail, { payload: ({ to }: { to: string }) => to === "a" });
  await kit.expectEnqueued(mail, { runAt: new Date(+kit.now() + 3_600_000) });
  await kit.expectEnqueued(other, { times: 0 });
});

test.each([
  [{ payload: { to: "b" } }],
  [{ payload: { to: "a" } }],
  [{ payload: { to: "a", at: ["x"] } }],
  [{ payload: expect.objectContaining({ to: "b" }) }],
  [{ payload: () => false }],
  [{ queue: "default" }],
  [{ delay: 0 }],
  [{ priority: 1 }],
  [{ uniqueKey: "k" }],
  [{ runAt: new Date(0) }],
  [{ times: 0 }],
  [{ times: 2 }],
])("does not find %o", async (expected) => {
  await using kit = await kitWith();
  await kit.qudo.enqueue(mail, { to: "a", at: ["x", "y"] }, { delay: "1m" });
  await expect(kit.expectEnqueued(mail, expected)).rejects.toBeInstanceOf(ExpectationError);
});

test("what has ended was enqueued too", async () => {
  await using kit = await kitWith();
  await kit.qudo.enqueue(mail, { to: "a" });
  await kit.drain();
  await kit.expectEnqueued(mail, { payload: { to: "a" } });
});

test("a failure shows what was found instead, and no secret", async () => {
  await using kit = await kitWith();
  await kit.qudo.enqueue(mail, { to: "anna", password: "sesame" }, { delay: "5m" });
  const failure = await kit
    .expectEnqueued(mail, { payload: { to: "bert", password: "open" } })
    .catch((error: unknown) => error as ExpectationError);
  expect(failure).toMatchObject({
    code: "QUDO_TEST_EXPECTED",
    expected: { payload: { to: "bert" } },
    actual: [{ payload: { to: "anna" }, queue: "post", delay: 300 }],
  });
  const shown = `${(failure as Error).message} ${JSON.stringify(failure)}`;
  expect(shown).toContain("anna");
  expect(shown).not.toMatch(/sesame|open"/);
});

test("refuses expectations that it does not know", async () => {
  await using kit = await kitWith();
  await expect(kit.expectEnqueued(mail, { paylod: {} } as object)).rejects.toMatchObject({
    code: "QUDO_UNKNOWN_OPTION",
  });
  await expect(kit.expectEnqueued(mail, { times: -1 })).rejects.toBeInstanceOf(InvalidInputError);
});

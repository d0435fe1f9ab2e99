/** A payload that cannot be read fails its own job, with words, and no other of its claim. */
import { expect, test } from "vitest";
import { defineJob, fixed } from "../../src/index.js";
import { openHandle } from "../conformance/support/handle.js";
import { attemptsOf, expectSound, newPath, newQudo, until } from "./support.js";

const BROKEN: Readonly<Record<string, string>> = {
  "no JSON": "payload_text = '{\"n\": 1'",
  "no text": "payload_text = ''",
  "bytes that are no UTF-8": "payload_text = cast(x'fffe007b' as text)",
  "nothing at all": "payload_text = null",
  "bytes in its place": "payload_text = null, payload_bin = x'00ff'",
  "an unknown codec": "codec = 99",
};

test.each(Object.entries(BROKEN))("%s", async (_, change) => {
  const path = newPath();
  const seen: number[] = [];
  const step = defineJob("step", {
    backoff: fixed("1ms"),
    maxAttempts: 2,
    run: async (n: number) => void seen.push(n),
  });
  const qudo = newQudo([step], path);
  const jobs = await qudo.enqueueMany(Array.from({ length: 20 }, (_, n) => [step, n] as const));
  const broken = jobs[7]!.id;
  const handle = await openHandle(path);
  const id = Buffer.from(broken.replaceAll("-", ""), "hex");
  expect(handle.prepare(`update qudo_job set ${change} where id = ?`).run(id).changes).toBe(1);
  handle.close();
  await qudo.work();
  await until("all have ended", async () => (await attemptsOf(qudo)).length === 21);
  expect(seen.toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 20 }, (_, n) => n).filter((n) => n !== 7),
  );
  const attempts = await attemptsOf(qudo, broken);
  expect(attempts.map(({ state }) => state)).toEqual(["failed", "abandoned"]);
  for (const { error } of attempts) expect(error).not.toBeNull();
  await expectSound(qudo);
});

test("options that cannot be read hold up nobody, and the job runs", async () => {
  const path = newPath();
  const seen: number[] = [];
  const step = defineJob("step", { run: async (n: number) => void seen.push(n) });
  const qudo = newQudo([step], path);
  await qudo.enqueueMany(Array.from({ length: 3 }, (_, n) => [step, n] as const));
  const handle = await openHandle(path);
  handle.exec(`update qudo_job set opts = '{"redact":'`);
  handle.close();
  await qudo.work();
  await until("all have ended", async () => (await attemptsOf(qudo)).length === 3);
  expect(seen.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
});

/** What nobody can ask of a queue that is consumed by hand. */
import { describe, expect, test } from "vitest";
import type { Qudo } from "../../src/index.js";
import { newQudo, refused } from "./support.js";

describe("what cannot be", () => {
  test.each([
    ["a name that is none", (qudo: Qudo) => qudo.queue(""), "QUDO_INVALID_NAME"],
    [
      "an option that does not exist",
      (qudo: Qudo) => qudo.queue("http", { concurrency: 1 } as never),
      "QUDO_UNKNOWN_OPTION",
    ],
    ["no kinds at all", (qudo: Qudo) => qudo.queue("http", { kinds: [] }), "QUDO_INVALID_OPTION"],
    [
      "kinds that are none",
      (qudo: Qudo) => qudo.queue("http", { kinds: [7 as never] }),
      "QUDO_INVALID_OPTION",
    ],
    [
      "a lease that is too short",
      (qudo: Qudo) => qudo.queue("http", { lease: "10ms" }),
      "QUDO_INVALID_OPTION",
    ],
    ["too few", (qudo: Qudo) => qudo.queue("http").fetch(0), "QUDO_INVALID_OPTION"],
    ["too many", (qudo: Qudo) => qudo.queue("http").next(1_001), "QUDO_INVALID_OPTION"],
    [
      "an option of fetch that does not exist",
      (qudo: Qudo) => qudo.queue("http").fetch(1, { wait: 1 } as never),
      "QUDO_UNKNOWN_OPTION",
    ],
    [
      "a signal that is none",
      (qudo: Qudo) => qudo.queue("http").fetch(1, { signal: 5 as never }),
      "QUDO_INVALID_OPTION",
    ],
    [
      "a time-out that is none",
      (qudo: Qudo) => qudo.queue("http").fetch(1, { timeout: "soon" }),
      "QUDO_INVALID_DURATION",
    ],
    [
      "an option of a message that does not exist",
      (qudo: Qudo) => qudo.queue("http").addMsg(1, { queue: "other" } as never),
      "QUDO_UNKNOWN_OPTION",
    ],
    [
      "a message that is none",
      (qudo: Qudo) => qudo.queue("http").removeMsg(undefined as never),
      "QUDO_INVALID_OPTION",
    ],
  ])("%s is refused", async (_, call, code) => {
    const qudo = newQudo([]);
    const error = await refused((async () => call(qudo))());
    expect(error.code).toBe(code);
    expect(await qudo.monitor.workers()).toEqual([]);
  });
});

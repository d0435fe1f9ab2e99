import { describe, expect, it } from "vitest";
import { Snooze, snooze } from "../../src/core/snooze.js";
import { refusal } from "./support/refusal.js";

describe("snooze", () => {
  it("says for how long", () => {
    expect(snooze("5m").delayMs).toBe(300_000);
    expect(snooze(1.5).delayMs).toBe(1_500);
    expect(snooze(0).delayMs).toBe(0);
  });

  it("refuses what is no duration", () => {
    const { code, message } = refusal(() => snooze("soon"));
    expect(code).toBe("QUDO_INVALID_DURATION");
    expect(message).toContain("snooze");
  });

  it("is told from everything else, also from what throws when it is looked at", () => {
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error("no");
        },
        has: () => {
          throw new Error("no");
        },
      },
    );
    expect(Snooze.is(snooze(1))).toBe(true);
    for (const other of [
      null,
      undefined,
      1,
      "5m",
      {},
      { delayMs: 1 },
      Object.create(Snooze.prototype),
      hostile,
    ])
      expect(Snooze.is(other)).toBe(false);
  });
});

/** What is built on a given time: pauses that can be ended, things that come again and again. */
import { expect, test } from "vitest";
import { every, sleep, turn, type Time } from "../../src/core/time.js";

/** Moved by hand: `pass` fires what is due, in order. */
function byHand() {
  let now = 0;
  const timers: { at: number; fire: () => void; aside: boolean }[] = [];
  const set = (aside: boolean) => (fire: () => void, ms: number) => {
    const timer = { at: now + ms, fire, aside };
    timers.push(timer);
    return () => void timers.splice(timers.indexOf(timer) >>> 0, 1);
  };
  const time: Time = {
    now: () => now,
    wall: () => now,
    chance: () => 0,
    soon: (then) => queueMicrotask(then),
    later: set(false),
    aside: set(true),
  };
  const pass = (ms: number): void => {
    const end = now + ms;
    for (;;) {
      const next = timers.toSorted((one, other) => one.at - other.at)[0];
      if (next === undefined || next.at > end) break;
      now = next.at;
      timers.splice(timers.indexOf(next), 1);
      next.fire();
    }
    now = end;
  };
  return { time, timers, pass };
}

test("a pause ends in time, and leaves nothing behind", async () => {
  const { time, timers, pass } = byHand();
  const over: number[] = [];
  void sleep(time, 50).then(() => over.push(time.now()));
  pass(49);
  await turn(time);
  expect(over).toEqual([]);
  pass(1);
  await turn(time);
  expect([over, timers]).toEqual([[50], []]);
});

test("a signal ends a pause with its reason, before it and during it", async () => {
  const { time, timers } = byHand();
  const controller = new AbortController();
  const pause = sleep(time, 50, { signal: controller.signal, aside: true });
  expect(timers.map(({ aside }) => aside)).toEqual([true]);
  controller.abort(new Error("enough"));
  await expect(pause).rejects.toThrow("enough");
  expect(timers).toEqual([]);
  await expect(sleep(time, 50, { signal: controller.signal })).rejects.toThrow("enough");
});

test("a signal that comes after the pause changes nothing", async () => {
  const { time, pass } = byHand();
  const controller = new AbortController();
  const pause = sleep(time, 50, { signal: controller.signal });
  pass(50);
  controller.abort(new Error("late"));
  await expect(pause).resolves.toBeUndefined();
});

test("again and again, until it is taken back", () => {
  const { time, timers, pass } = byHand();
  const at: number[] = [];
  const cancel = every(time, 100, () => void at.push(time.now()));
  pass(350);
  expect(at).toEqual([100, 200, 300]);
  cancel();
  pass(1_000);
  expect([at.length, timers.length]).toEqual([3, 0]);
});

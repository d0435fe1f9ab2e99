import { describe, expect, test } from "vitest";
import type { Place } from "../../src/storage/sql/dialect.js";
import { LowWater, type LaneLook } from "../../src/storage/sql/low-water.js";

const LANE = { id: 7, queue: "q", kind: "k" };
const WANTS = [{ queue: "q", kinds: ["other", "k"], limit: 10 }];

const at = (run_at: number, prio = 0): Place => ({ prio, run_at, id: `id ${run_at}` });

/** Marks with a clock that is moved by hand, and looks that are made and committed. */
class Lane {
  now = 0;
  readonly lowWater = new LowWater(() => this.now);

  get after(): Place | undefined {
    return this.lowWater.after(LANE.id);
  }

  /** A look from wherever the next one is to begin. */
  look(ms: number, last?: Place, seen: Partial<LaneLook> = {}): LaneLook {
    const beganAt = this.now;
    const { after } = this;
    this.now += ms;
    const taken = last === undefined ? 0 : 500;
    const { now: endedAt } = this;
    return { lane: LANE, after, beganAt, endedAt, taken, last, toTheEnd: false, ...seen };
  }

  claim(ms: number, last?: Place, seen: Partial<LaneLook> = {}): void {
    this.lowWater.keep([this.look(ms, last, seen)]);
  }

  /** 1,000 jobs taken, the last full look having lasted 5 ms. */
  static drained(): Lane {
    const lane = new Lane();
    lane.claim(5, at(500));
    lane.claim(5, at(1_000));
    return lane;
  }
}

describe("the low-water mark", () => {
  test("is not used before this process has taken 1,000 jobs of the lane", () => {
    const lane = new Lane();
    expect(lane.after).toBeUndefined();
    lane.claim(1_000, at(500), { taken: 999 });
    expect(lane.after).toBeUndefined();
    expect(lane.lowWater.within(WANTS)).toEqual([]);
    lane.claim(1_000, at(501), { taken: 1 });
    expect(lane.after).toEqual(at(501));
    expect(lane.lowWater.within(WANTS)).toEqual([{ ...LANE, mark: at(501) }]);
  });

  test("moves with each claim, and is another one in each lane", () => {
    const lane = Lane.drained();
    expect(lane.after).toEqual(at(1_000));
    lane.claim(1, at(1_500));
    expect(lane.after).toEqual(at(1_500));
    expect(lane.lowWater.after(8)).toBeUndefined();
    expect(lane.lowWater.within([{ queue: "other", kinds: ["k"], limit: 1 }])).toEqual([]);
    expect(lane.lowWater.within([{ queue: "q", kinds: ["other"], limit: 1 }])).toEqual([]);
  });

  test("rests for ten times the duration of a full look after its end, whatever is read from it meanwhile", () => {
    const lane = Lane.drained();
    lane.now += 20;
    lane.claim(29, at(1_500));
    expect(lane.after).toEqual(at(1_500));
    lane.now += 1;
    expect(lane.after).toBeUndefined();
    // Idle looks go on from the beginning by themselves.
    expect(lane.lowWater.within(WANTS)).toHaveLength(1);
    lane.claim(300, at(2_000));
    lane.now += 2_999;
    expect(lane.after).toEqual(at(2_000));
    lane.now += 1;
    expect(lane.after).toBeUndefined();
  });

  test("leaves a tenth of the time to full looks, however long they are", () => {
    for (const ms of [1, 20, 700]) {
      const lane = Lane.drained();
      const begin = lane.now;
      let full = 0;
      for (let i = 0; lane.now < begin + 100_000; i++) {
        if (lane.after === undefined) full += ms;
        lane.claim(lane.after === undefined ? ms : 1, at(2_000 + i));
      }
      const part = full / (lane.now - begin);
      expect(part).toBeLessThanOrEqual(0.1);
      expect(part).toBeGreaterThan(0.08);
    }
  });

  test("stays where it is when a claim is rolled back", () => {
    const lane = Lane.drained();
    lane.look(1, at(1_500));
    expect(lane.after).toEqual(at(1_000));
    lane.now += 50;
    lane.look(1, at(1_600));
    expect(lane.after, "a full look that was rolled back was none").toBeUndefined();
  });

  test("goes back to what a full look took last: more may lie behind it", () => {
    const lane = Lane.drained();
    lane.now += 50;
    lane.claim(5, at(3_000, -5));
    expect(lane.after).toEqual(at(3_000, -5));
  });

  test("stays before the end of what was emptied when a full look took all there was", () => {
    const lane = Lane.drained();
    lane.now += 50;
    lane.claim(5, at(3_000, -5), { toTheEnd: true });
    expect(lane.after).toEqual(at(1_000));
    lane.now += 50;
    lane.claim(5, undefined, { toTheEnd: true });
    expect(lane.after).toEqual(at(1_000));
    lane.now += 50;
    lane.claim(5, at(4_000), { toTheEnd: true });
    expect(lane.after).toEqual(at(4_000));
  });

  test("stays when a look from it brings nothing", () => {
    const lane = Lane.drained();
    lane.claim(1, undefined, { toTheEnd: true });
    expect(lane.after).toEqual(at(1_000));
  });

  test("is not moved past what a full look found by a claim that had begun before", () => {
    const lane = Lane.drained();
    const slow = lane.look(1, at(1_500));
    lane.now += 50;
    lane.claim(5, at(3_000, -5));
    lane.lowWater.keep([slow]);
    expect(lane.after).toEqual(at(3_000, -5));
  });
});

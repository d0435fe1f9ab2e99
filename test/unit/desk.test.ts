/** Where tasks and those who wait for them meet: who is served when, and how many are asked for. */
import { REAL } from "../../src/storage/time.js";
import { describe, expect, test } from "vitest";
import { Places, type Seat } from "../../src/worker/places.js";
import type { Task } from "../../src/worker/tasks/api.js";
import { Desk, type Wish } from "../../src/worker/tasks/desk.js";

const wish = (max: number, more: Partial<Wish> = {}): Wish => ({
  max,
  timeoutMs: null,
  signal: undefined,
  ...more,
});

/** A task of which only its release is seen. */
function newTask(name: string): Task & { released: boolean } {
  const task = {
    id: name,
    released: false,
    release: async () => (task.released = true),
  };
  return task as Task & { released: boolean };
}

/** A database that has nothing to say unless told otherwise. */
function seatAt(desk: Desk, more: Partial<Seat> = {}): Seat {
  const seat: Seat = {
    held: 0,
    running: 0,
    asking: 0,
    prompt: true,
    eager: false,
    opening: false,
    startOne: () => false,
    look: () => undefined,
    ...more,
  };
  desk.demand.join(seat);
  return seat;
}

/** As a worker does it: the job is started, then handed out. */
function handOut(desk: Desk, seat: Seat, name: string): boolean {
  desk.demand.took(seat);
  return desk.give(newTask(name));
}

const names = (tasks: readonly Task[]): string[] => tasks.map(({ id }) => id);

describe("the desk", () => {
  test("serves together what was claimed together, and no more than was wanted", async () => {
    const desk = new Desk(REAL);
    const seat = seatAt(desk);
    const waiting = desk.take(wish(2));
    const next = desk.take(wish(5));
    expect(desk.demand.total).toBe(7);
    for (const name of ["a", "b", "c"]) expect(handOut(desk, seat, name)).toBe(true);
    expect(names(await waiting)).toEqual(["a", "b"]);
    expect(names(await next)).toEqual(["c"]);
    // What was not served is not wanted any more.
    expect([desk.demand.wanted, desk.demand.out, desk.demand.total]).toEqual([0, 3, 3]);
    expect(desk.demand.full).toBe(true);
    expect(handOut(desk, seat, "d")).toBe(false);
  });

  test("waits for what is on its way to the same fetch", async () => {
    const desk = new Desk(REAL);
    const seat = seatAt(desk);
    let served: string[] | null = null;
    const waiting = desk.take(wish(3)).then((tasks) => (served = names(tasks)));
    desk.demand.took(seat);
    handOut(desk, seat, "quick");
    expect(desk.demand.preparing).toBe(1);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(served).toBeNull();
    desk.give(newTask("slow"));
    expect(await waiting).toEqual(["quick", "slow"]);
  });

  test("does not wait for one that came to nothing", async () => {
    const desk = new Desk(REAL);
    const seat = seatAt(desk);
    const waiting = desk.take(wish(3));
    desk.demand.took(seat);
    handOut(desk, seat, "a");
    desk.demand.freed();
    expect(names(await waiting)).toEqual(["a"]);
  });

  test("gives back what it has for a fetch that is given up", async () => {
    const desk = new Desk(REAL);
    const seat = seatAt(desk);
    const aborting = new AbortController();
    const waiting = desk.take(wish(2, { signal: aborting.signal }));
    desk.demand.took(seat);
    const task = newTask("a");
    desk.give(task);
    aborting.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    expect(task.released).toBe(true);
    expect(desk.demand.wanted).toBe(0);
    expect(desk.isEmpty).toBe(true);
    expect(desk.give(newTask("b"))).toBe(false);
  });

  test("is closed: whoever waits is told, and what he had is given back", async () => {
    const desk = new Desk(REAL);
    const seat = seatAt(desk);
    const waiting = [desk.take(wish(2)), desk.take(wish(1))];
    desk.demand.took(seat);
    const task = newTask("a");
    desk.give(task);
    desk.close(new Error("closed"));
    for (const one of waiting) await expect(one).rejects.toThrow("closed");
    expect(task.released).toBe(true);
    expect(desk.demand.wanted).toBe(0);
  });

  test.each([
    ["is opening", { opening: true }],
    ["has not been asked", { eager: true }],
    ["was asked", { asking: 1 }],
    ["has given something", { held: 1 }],
  ])("whose time is up waits for a database that %s", async (_, more) => {
    const desk = new Desk(REAL);
    const busy = { ...more };
    const seat = seatAt(desk, busy);
    let served = false;
    const waiting = desk.take(wish(1, { timeoutMs: 0 })).then((tasks) => {
      served = true;
      return tasks;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(served).toBe(false);
    Object.assign(seat, { opening: false, eager: false, asking: 0, held: 0 });
    desk.demand.answered();
    expect(await waiting).toEqual([]);
  });

  test("is no place like a worker's: how long a task was out decides nothing", () => {
    const desk = new Desk(REAL);
    const seat = seatAt(desk);
    expect(desk.demand).toBeInstanceOf(Places);
    void desk.take(wish(4));
    desk.demand.took(seat);
    desk.give(newTask("a"));
    desk.gone();
    desk.demand.freed();
    desk.demand.stalled();
    // A quick handler would have work held for it.
    expect(desk.demand.goal(seat)).toBe(3);
    expect(desk.demand.room(seat)).toBe(3);
  });
});

/** Who gets the places of a queue that several databases share. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { REAL } from "../../src/storage/time.js";
import { levelled, Places, PROMPT_MS, type Seat } from "../../src/worker/places.js";
import { Promptness } from "../../src/worker/promptness.js";

/** One that holds what it is given, and does what it is told. */
class Guest implements Seat {
  opening = false;
  held = 0;
  running = 0;
  asking = 0;
  prompt = true;
  eager = true;
  looks = 0;
  started = 0;

  constructor(private readonly places: Places) {
    places.join(this);
  }

  startOne(): boolean {
    if (this.held === 0 || this.places.full) return false;
    this.held--;
    this.running++;
    this.started++;
    this.places.took(this);
    return true;
  }

  look(): void {
    this.looks++;
  }

  end(ms: number): boolean {
    this.running--;
    this.places.freed(ms);
    return this.places.pass();
  }

  get room(): number {
    return this.places.room(this);
  }
}

const SLOW = 1_000;

function newPlaces(total: number, guests: number): { places: Places; all: Guest[] } {
  const places = new Places(total, REAL);
  return { places, all: Array.from({ length: guests }, () => new Guest(places)) };
}

/** Handlers are known to take so long. */
function pace(places: Places, guest: Guest, ms: number): void {
  guest.held = 1;
  guest.startOne();
  guest.end(ms);
  expect(places.full).toBe(false);
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("alone it may fill them all, and with quick handlers hold 50 ms of work", () => {
  const { places, all } = newPlaces(10, 1);
  const [only] = all as [Guest];
  expect(only.room).toBe(10);
  pace(places, only, 10);
  expect(only.room).toBe(50);
  only.held = 30;
  expect(only.room).toBe(20);
});

test("a place that gets free goes round those that hold jobs, whoever had it", () => {
  const { all } = newPlaces(1, 3);
  const [a, b, c] = all as [Guest, Guest, Guest];
  [a.held, b.held, c.held] = [100, 10, 0];
  a.startOne();
  for (let i = 0; i < 10; i++) expect((a.running > 0 ? a : b).end(SLOW)).toBe(true);
  expect([a.started, b.started]).toEqual([6, 5]);
  c.held = 1;
  const after = [a, b, c].find(({ running }) => running > 0)!;
  after.end(SLOW);
  [a, b, c].find(({ running }) => running > 0)!.end(SLOW);
  expect(c.started).toBe(1);
});

test("quick handlers: each holds its share of the work, as long as there are others with jobs", () => {
  const { places, all } = newPlaces(10, 3);
  const [a, b, c] = all as [Guest, Guest, Guest];
  pace(places, a, 10);
  [b.eager, c.eager] = [false, false];
  expect(a.room).toBe(50);
  b.held = 1;
  expect(a.room).toBe(25);
  c.eager = true;
  expect(a.room).toBe(17);
  c.prompt = false;
  expect(a.room).toBe(25);
});

test("slow handlers: the free places are shared out, the odd ones in turn", () => {
  const { all } = newPlaces(5, 2);
  const [a, b] = all as [Guest, Guest];
  expect([a.room, b.room]).toEqual([3, 2]);
  a.held = 3;
  while (a.startOne());
  b.held = 2;
  while (b.startOne());
  expect([a.room, b.room]).toEqual([0, 0]);
  for (const [first, second] of [
    [a, b],
    [b, a],
  ] as const) {
    const ended = first.running > 2 ? first : second;
    expect(ended.end(SLOW)).toBe(false);
    expect([first.room, second.room]).toEqual([1, 0]);
    first.held = 1;
    first.startOne();
  }
});

test("slow handlers: who has fewer is filled up first, one on whose answer we wait among them", () => {
  const { all } = newPlaces(10, 2);
  const [a, b] = all as [Guest, Guest];
  [a.running, b.running] = [7, 1];
  expect([a.room, b.room]).toEqual([0, 2]);
  [a.running, b.running] = [3, 1];
  expect([a.room, b.room]).toEqual([2, 4]);
  [b.eager, b.asking] = [false, 1];
  expect(a.room).toBe(2);
  b.asking = 6;
  expect(a.room).toBe(0);
});

test.each([
  [0, [0, 3], [0, 0]],
  [-2, [0, 3], [0, 0]],
  [4, [0], [4]],
  [5, [0, 0], [3, 2]],
  [2, [7, 1], [0, 2]],
  [6, [7, 1], [0, 6]],
  [7, [7, 1], [1, 6]],
  [8, [7, 1], [1, 7]],
  [3, [2, 0, 1], [0, 2, 1]],
  [4, [2, 0, 1], [1, 2, 1]],
  [1, [1, 1, 0], [0, 0, 1]],
  [1, [1, 1, 1], [1, 0, 0]],
])("%d places for %j: %j", (free, loads, given) => {
  expect(levelled(free, loads)).toEqual(given);
});

test("slow handlers: what nobody else may have is one's own", () => {
  const { all } = newPlaces(10, 2);
  const [a, b] = all as [Guest, Guest];
  b.eager = false;
  expect(a.room).toBe(10);
  b.running = 4;
  expect(a.room).toBe(6);
});

test("a place is kept free for one that has been asked, but not for one that is not prompt", () => {
  const { all } = newPlaces(2, 2);
  const [a, b] = all as [Guest, Guest];
  [b.asking, b.eager] = [2, false];
  expect(a.room).toBe(0);
  b.prompt = false;
  expect(a.room).toBe(2);
});

test("who got less than is free looks again when the others have had their time", () => {
  const { all } = newPlaces(1, 2);
  const [a, b] = all as [Guest, Guest];
  expect([a.room, b.room]).toEqual([1, 0]);
  vi.advanceTimersByTime(PROMPT_MS - 1);
  expect(b.looks).toBe(0);
  vi.advanceTimersByTime(1);
  expect(b.looks).toBe(1);
});

test("all look when a place gets free that nobody takes, when one has answered, and when one leaves", () => {
  const { places, all } = newPlaces(2, 2);
  const [a, b] = all as [Guest, Guest];
  a.held = 1;
  a.startOne();
  expect(a.end(SLOW)).toBe(false);
  expect([a.looks, b.looks]).toEqual([1, 1]);
  places.answered();
  expect([a.looks, b.looks]).toEqual([2, 2]);
  places.leave(a);
  expect([a.looks, b.looks]).toEqual([2, 3]);
  expect(b.room).toBe(2);
});

test("prompt: until a question has waited too long, or was answered too late, or in vain", () => {
  const promptness = new Promptness(REAL);
  const ask = (ms: number, failed: boolean): void => {
    promptness.begin();
    vi.advanceTimersByTime(ms);
    promptness.end(failed);
  };
  expect(promptness.prompt).toBe(true);
  promptness.begin();
  vi.advanceTimersByTime(PROMPT_MS + 1);
  expect(promptness.prompt).toBe(false);
  promptness.end(false);
  expect(promptness.prompt).toBe(false);
  ask(PROMPT_MS - 1, false);
  expect(promptness.prompt).toBe(true);
  ask(0, true);
  expect(promptness.prompt).toBe(false);
});

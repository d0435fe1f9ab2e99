/** Time and chance in a test's hands, and databases that do what the test says. */
import { vi } from "vitest";
import type { Driver, Identity, InsertOutcome, NewJob } from "../../../src/storage/driver.js";
import { newId } from "../../../src/storage/ids.js";
import type { PartPlan } from "../../../src/storage/several/plan.js";
import type { Surroundings } from "../../../src/storage/several/surroundings.js";

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

/** Nothing happens by itself but turns of the event loop. */
export class Manual implements Surroundings {
  /** What every throw of the dice gives. */
  dice = 0.5;
  private time = 1_000;
  private timers: Timer[] = [];

  now(): number {
    return this.time;
  }

  wall(): number {
    return Date.UTC(2030, 0) + this.time;
  }

  chance(): number {
    return this.dice;
  }

  soon(then: () => void): void {
    setImmediate(then);
  }

  later(fire: () => void, ms: number): () => void {
    const timer = { at: this.time + ms, fire };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
  }

  aside(then: () => void, ms: number): () => void {
    return this.later(then, ms);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.later(resolve, ms));
  }

  /** Lets time pass, and everything happen that is due meanwhile, in order. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    await turns();
    for (;;) {
      const due = this.timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.timers = this.timers.filter((one) => one !== due);
      this.time = Math.max(this.time, due.at);
      due.fire();
      await turns();
    }
    this.time = end;
  }
}

/** All that can happen without time passing has happened. */
export async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

export function jobOf(more: Partial<NewJob> = {}): NewJob {
  return {
    id: newId(),
    queue: "default",
    kind: "test.job",
    priority: 0,
    delayMs: 0,
    runAt: null,
    expiresAt: null,
    maxAttempts: 6,
    timeoutMs: null,
    keepDoneMs: null,
    keepOtherMs: null,
    redact: null,
    payload: { codec: 1, text: "null", bin: null },
    uniqueKey: null,
    ...more,
  };
}

/** What a promise has come to so far. */
export function watched<T>(promise: Promise<T>): { value?: T; error?: unknown; over: boolean } {
  const seen: { value?: T; error?: unknown; over: boolean } = { over: false };
  promise.then(
    (value) => Object.assign(seen, { value, over: true }),
    (error: unknown) => Object.assign(seen, { error, over: true }),
  );
  return seen;
}

/** A database that remembers what it was asked. Each operation can be told to fail, or to wait. */
export class FakeDatabase {
  readonly asked: string[] = [];
  readonly jobs = new Set<string>();
  identity: Identity = { id: newId(), name: null, mode: "active" };
  /** By operation: thrown instead of an answer. */
  readonly failures = new Map<string, Error>();
  /** By operation: given instead of its own answer. */
  readonly answers = new Map<string, unknown>();
  /** By operation: waited for before the answer. */
  readonly gates = new Map<string, Promise<void>>();
  readonly close = vi.fn(async () => undefined);

  /** By operation: thrown once. */
  private readonly onces = new Map<string, Error>();

  failOnce(operation: string, error: Error): void {
    this.onces.set(operation, error);
  }

  /** By operation: how long each takes. */
  private readonly delays = new Map<string, () => Promise<void>>();

  slow(operation: string, sleep: (ms: number) => Promise<void>, ms: number): void {
    this.delays.set(operation, () => sleep(ms));
  }

  private readonly listeners = new Set<() => void>();

  /** Somebody else has written. */
  change(): void {
    for (const listener of this.listeners) listener();
  }

  plan(name: string, more: Partial<PartPlan> = {}): PartPlan {
    const open = (): Promise<Driver> => this.answer("open", () => this.driver());
    return { name, label: `fake:${name}`, weight: 1, mode: "active", open, ...more };
  }

  times(operation: string): number {
    return this.asked.filter((one) => one === operation).length;
  }

  private driver(): Driver {
    const answers: Partial<{ [K in keyof Driver]: (...values: never[]) => unknown }> = {
      migrate: () => ({ from: 1, to: 1 }),
      schemaVersion: () => 1,
      ping: () => ({ now: 0 }),
      identify: (name?: string) => {
        if (name !== undefined && this.identity.name === null)
          this.identity = { ...this.identity, name };
        return this.identity;
      },
      insertJobs: (jobs: readonly NewJob[]): InsertOutcome[] =>
        jobs.map(({ id }) => {
          const status = this.jobs.has(id) ? "duplicate" : "inserted";
          this.jobs.add(id);
          return { status };
        }),
      heartbeat: () => ({ alive: true, leases: [], fenced: [] }),
      trip: ({ settle, claim }: { settle: unknown[]; claim: unknown }) => ({
        settled: settle.map(() => ["accepted"]),
        claimed: claim === null ? [] : ["job"],
        more: false,
      }),
      release: () => 1,
      closeSession: () => true,
      markStarted: () => [],
      counts: () => [],
    };
    const operations = Object.entries(answers).map(([name, make]) => [
      name,
      (...values: never[]) => this.answer(name, () => make(...values)),
    ]);
    return {
      label: "fake",
      capabilities: { wakeups: true },
      close: this.close,
      subscribe: (onChange: () => void) => {
        this.listeners.add(onChange);
        return () => this.listeners.delete(onChange);
      },
      ...Object.fromEntries(operations),
    } as unknown as Driver;
  }

  private async answer<T>(operation: string, make: () => T): Promise<T> {
    this.asked.push(operation);
    await this.gates.get(operation);
    await this.delays.get(operation)?.();
    const failure = this.onces.get(operation) ?? this.failures.get(operation);
    this.onces.delete(operation);
    if (failure !== undefined) throw failure;
    return this.answers.has(operation) ? (this.answers.get(operation) as T) : make();
  }
}

export function gate(): { passed: Promise<void>; open: () => void } {
  const opening: { open?: () => void } = {};
  const passed = new Promise<void>((resolve) => (opening.open = resolve));
  return { passed, open: () => opening.open!() };
}

/** What a worker tells, when, and to whom. */
import { describe, expect, test } from "vitest";
import { DatabaseError, defineJob, fixed, snooze } from "../../src/index.js";
import type { EventName } from "../../src/core/events.js";
import { listening } from "./listener.js";
import { gate, newBench, order, silent, until } from "./support.js";

const ENDS = ["done", "failed", "abandoned", "snoozed", "released", "lost"] as const;
const ALL: readonly EventName[] = [
  "started",
  ...ENDS,
  "worker:started",
  "worker:stopped",
  "worker:lost",
  "trouble",
];

const neverMade = (): void => {
  throw new Error("it should not be made");
};

describe("events", () => {
  test("tell each start before the handler, and each end after the database has it", async () => {
    const log: string[] = [];
    const told: { name: string; event: object }[] = [];
    const job = defineJob("mixed", {
      backoff: fixed("1h"),
      run: (how: string, { id, abort }): unknown => {
        log.push(`handler ${id}`);
        if (how === "fail") throw new Error("no luck");
        if (how === "abort") abort("useless");
        return how === "snooze" ? snooze("1h") : how;
      },
    });
    const bench = await newBench([job]);
    const jobs = ["do", "fail", "abort", "snooze"].map((how) =>
      order("mixed", { payload: { codec: 1, text: JSON.stringify(how), bin: null } }),
    );
    await bench.driver.insertJobs(jobs);
    const worker = bench.worker(
      { name: "herald" },
      {
        trip: async (trip) => {
          const outcome = await bench.driver.trip(trip);
          for (const { settlements } of trip.settle)
            for (const one of settlements) log.push(`settled ${one.job}`);
          return outcome;
        },
      },
      {
        emit: listening(ALL, (name, event) => {
          told.push({ name, event });
          log.push(`${name} ${"id" in event ? event.id : ""}`);
        }),
      },
    );
    await until(
      "all ended",
      () => told.filter(({ name }) => ENDS.includes(name as never)).length === 4,
    );
    await worker.stop();
    const [done, failed, abandoned, snoozed] = jobs.map(({ id }) => id) as [
      string,
      string,
      string,
      string,
    ];
    const steps = (id: string): string[] =>
      log.filter((line) => line.endsWith(id)).map((line) => line.split(" ")[0]!);
    expect(steps(done)).toEqual(["started", "handler", "settled", "done"]);
    expect(steps(failed)).toEqual(["started", "handler", "settled", "failed"]);
    expect(steps(abandoned)).toEqual(["started", "handler", "settled", "abandoned"]);
    expect(steps(snoozed)).toEqual(["started", "handler", "settled", "snoozed"]);
    const ref = { kind: "mixed", queue: "default", run: 1, attempt: 1 };
    const of = (name: string): object => told.find((one) => one.name === name)!.event;
    expect(of("started")).toEqual({ id: expect.any(String), ...ref });
    const elapsedMs = expect.any(Number) as number;
    expect(of("done")).toEqual({ id: done, ...ref, elapsedMs });
    expect(of("failed")).toMatchObject({ id: failed, ...ref, elapsedMs, delayMs: 3_600_000 });
    expect(of("failed")).toMatchObject({ error: expect.stringContaining("no luck") });
    expect(of("abandoned")).toMatchObject({ id: abandoned, ...ref, reason: "aborted" });
    expect(of("snoozed")).toEqual({ id: snoozed, ...ref, elapsedMs, delayMs: 3_600_000 });
    const { session } = of("worker:started") as { session: string };
    expect(told[0]).toEqual({ name: "worker:started", event: { session, name: "herald" } });
    expect(told.at(-1)).toEqual({ name: "worker:stopped", event: { session } });
  });

  test("tell of runs given back and lost, of a lost session, and of trouble", async () => {
    const told: { name: string; event: Record<string, unknown> }[] = [];
    const started = gate();
    const job = defineJob("holds", {
      run: (_: unknown, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
          started.open();
        }),
    });
    const bench = await newBench([job]);
    const { driver } = bench;
    let troubles = 1;
    const { id } = order("holds");
    await driver.insertJobs([order("holds", { id })]);
    const worker = bench.worker(
      { lease: "1s" },
      {
        trip: (trip) =>
          troubles-- > 0
            ? Promise.reject(new DatabaseError("QUDO_DATABASE_BUSY", "busy", true))
            : driver.trip(trip),
      },
      {
        emit: listening(ALL, (name, event) => told.push({ name, event: event as never })),
      },
    );
    const heard = (name: string) =>
      told.filter((one) => one.name === name).map(({ event }) => event);
    await started.passed;
    expect(heard("trouble")).toMatchObject([
      { what: "a trip to the database", error: { message: "busy" } },
    ]);
    const [row] = await driver.sessions();
    await driver.reap([{ id: row!.id, beat: row!.beat, cause: "gone", leaseMs: 1_000 }]);
    await until("the run is lost", () => heard("lost").length === 1);
    expect(heard("lost")).toMatchObject([{ id, run: 1 }]);
    expect(heard("worker:lost")).toEqual([{ session: row!.id }]);
    await until("it runs again", () => heard("started").length === 2);
    await worker.stop({ grace: 0 });
    expect(heard("released")).toMatchObject([{ id, run: 2 }]);
    expect(worker.stats).toMatchObject({ lost: 1, released: 1 });
  });

  test("that nobody listens to are never made, and a listener that throws stops nothing", async () => {
    const job = defineJob("quick", { run: () => undefined });
    const bench = await newBench([job]);
    await bench.driver.insertJobs(Array.from({ length: 20 }, () => order("quick")));
    let asked = 0;
    const quiet = bench.worker(
      {},
      {},
      { emit: Object.assign(neverMade, { listening: () => (asked++, false) }) },
    );
    await until("all are done", () => quiet.stats.done === 20);
    expect(asked).toBeGreaterThan(0);
    await quiet.stop();
    const logger = silent();
    await bench.driver.insertJobs(Array.from({ length: 20 }, () => order("quick")));
    const loud = bench.worker(
      { logger },
      {},
      {
        emit: listening(ALL, () => {
          throw new Error("no listener of mine");
        }),
      },
    );
    await until("all are done", () => loud.stats.done === 20);
    await loud.stop();
    expect(logger.lines.join()).toContain("no listener of mine");
  });
});

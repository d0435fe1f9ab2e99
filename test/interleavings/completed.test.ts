/** A run that its handler recorded as done in a transaction of its own, seen from the worker's settle. */
import { describe, expect, test } from "vitest";
import { ENGINES } from "./engines.js";
import { id, newJob } from "./scenario.js";
import { claim, openTwo } from "./two.js";

describe.each(ENGINES)("on $name", (engine) => {
  test("what a handler recorded is accepted, its lease is closed and its key is free", async () => {
    const { a, rows } = await openTwo(engine);
    await a.insertJobs([newJob("j", "k", { uniqueKey: "once" })]);
    await claim(a, "A", "lease");
    const run = { job: id("j"), run: 1, lease: id("lease"), session: id("A") };
    await a.report([{ ...run, progress: "1", lines: [] }]);
    await rows(
      `insert into qudo_outcome (job_id, run, state, lane, writer, worker, ended_at, fails, crashes)
     select j.id, 1, 1, j.lane, w.id, w.id, j.run_at, 0, 0
     from qudo_job j, qudo_worker w where w.name = 'A'`,
    );
    const failed = { state: "failed", reason: null, fails: 1, crashes: 0 } as const;
    const ended = { elapsedMs: 1, result: null, error: "rolled back", completed: true } as const;
    const settlement = { job: id("j"), run: 1, ...failed, next: { delayMs: 0 }, ...ended };
    const group = { lease: id("lease"), session: id("A"), settlements: [settlement], close: true };
    expect((await a.trip({ settle: [group], claim: null })).settled).toEqual([["accepted"]]);
    expect(await a.getJobs([id("j")])).toMatchObject([{ state: "done", progress: null }]);
    expect(await a.audit()).toEqual([]);
    expect(await a.insertJobs([newJob("next", "k", { uniqueKey: "once" })])).toEqual([
      { status: "inserted" },
    ]);
  });
});

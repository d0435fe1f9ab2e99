/**
 * What must not stand in line for the write lock: claims that find nothing, and reports without news. SQLite alone, because it
 * alone has one lock for all who write; on servers each row has its own, and claims pass by those that others hold.
 */
import { expect, test } from "vitest";
import { SQLITE } from "./engines.js";
import { id, newJob, wants } from "./scenario.js";
import { claim, openTwo } from "./two.js";

test("SQLite, where one writes at a time: an idle claim is answered while another process writes; one that finds something waits", async () => {
  const { a, b, rows } = await openTwo(SQLITE);
  await b.insertJobs([newJob("other", "unwanted")]);
  await rows("begin immediate");
  expect(await claim(a, "A", "idle")).toEqual([]);
  const lost = { lease: id("lease"), session: id("nobody"), wants: wants("k") };
  await expect(a.trip({ settle: [], claim: lost })).rejects.toThrow(
    expect.objectContaining({ code: "QUDO_SESSION_LOST" }),
  );
  await rows("rollback");
  await b.insertJobs([newJob("j", "k")]);
  await rows("begin immediate");
  let answered = false;
  const waiting = claim(a, "A", "lease").then((jobs) => {
    answered = true;
    return jobs;
  });
  // A question that needs no lock is put after the claim and answered before it.
  expect(await a.getJobs([id("j")])).toMatchObject([{ state: "pending" }]);
  expect(answered).toBe(false);
  await rows("rollback");
  expect(await waiting).toMatchObject([{ job: id("j"), run: 1 }]);
});

test("SQLite, where one writes at a time: a report without news is answered while another process writes", async () => {
  const { a, rows } = await openTwo(SQLITE);
  await a.insertJobs([newJob("j", "k")]);
  await claim(a, "A", "lease");
  const run = { job: id("j"), run: 1, lease: id("lease"), session: id("A") };
  await rows("begin immediate");
  expect(await a.report([{ ...run, progress: null, lines: [] }])).toEqual([true]);
  await rows("rollback");
});

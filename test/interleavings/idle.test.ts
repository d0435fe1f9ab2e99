/** What must not stand in line for the write lock: claims that find nothing, and reports without news. */
import { expect, test } from "vitest";
import { openRaw } from "./files.js";
import { id, newJob, wants } from "./scenario.js";
import { claim, openTwo } from "./two.js";

test("an idle claim is answered while another process writes; one that finds something waits", async () => {
  const { a, b, path } = await openTwo();
  await b.insertJobs([newJob("other", "unwanted")]);
  const writer = openRaw(path);
  writer.exec("begin immediate");
  expect(await claim(a, "A", "idle")).toEqual([]);
  const lost = { lease: id("lease"), session: id("nobody"), wants: wants("k") };
  await expect(a.trip({ settle: [], claim: lost })).rejects.toThrow(
    expect.objectContaining({ code: "QUDO_SESSION_LOST" }),
  );
  writer.exec("rollback");
  await b.insertJobs([newJob("j", "k")]);
  writer.exec("begin immediate");
  let answered = false;
  const waiting = claim(a, "A", "lease").then((jobs) => {
    answered = true;
    return jobs;
  });
  // A question that needs no lock is put after the claim and answered before it.
  expect(await a.getJobs([id("j")])).toMatchObject([{ state: "pending" }]);
  expect(answered).toBe(false);
  writer.exec("rollback");
  expect(await waiting).toMatchObject([{ job: id("j"), run: 1 }]);
  writer.close();
});

test("a report without news is answered while another process writes", async () => {
  const { a, path } = await openTwo();
  await a.insertJobs([newJob("j", "k")]);
  await claim(a, "A", "lease");
  const run = { job: id("j"), run: 1, lease: id("lease"), session: id("A") };
  const writer = openRaw(path);
  writer.exec("begin immediate");
  expect(await a.report([{ ...run, progress: null, lines: [] }])).toEqual([true]);
  writer.exec("rollback");
  writer.close();
});

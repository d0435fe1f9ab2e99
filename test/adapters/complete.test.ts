/** `job.completeIn(tx)` through every library: effects, follow-up jobs and the outcome commit together, or none of them. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineJob, fixed, Qudo } from "../../src/index.js";
import type { Opened } from "./support/library.js";
import { onMysql } from "./support/mysql.js";
import { onPostgres } from "./support/postgres.js";
import { serverOf, type Place } from "./support/servers.js";

describe.each([...onPostgres, ...onMysql])("$name", (library) => {
  let place: Place;
  let opened: Opened;
  let qudo: Qudo;

  const followUp = defineJob("follow-up", { queue: "later", run: (_run: number) => undefined });
  const effect = defineJob("effect", {
    backoff: fixed(0),
    run: async (ends: ("throws" | "commits")[], job) => {
      await opened.transaction(async (tx) => {
        await opened.run(tx, `insert into orders (n) values (${job.run})`);
        await qudo.in(tx).enqueue(followUp, job.run);
        await job.completeIn(tx, { run: job.run });
        if (ends[job.run - 1] === "throws") throw new Error("after it");
      });
      return "not this";
    },
  });

  beforeAll(async () => {
    place = await serverOf(library.server);
    qudo = new Qudo({ databases: place.url, jobs: [effect] });
    await qudo.migrate();
    await place.query("create table orders (n int not null)");
    opened = await library.open(place.url);
  });
  afterAll(async () => {
    await qudo.close();
    await opened.close();
    await place.close();
  });

  test("a run that rolls back leaves nothing but its failure; the next one commits all", async () => {
    await using worker = await qudo.work({ signals: false });
    const job = await qudo.enqueue(effect, ["throws", "throws", "commits"]);
    expect(await job.result({ timeout: "20s" })).toEqual({ run: 3 });
    await worker.stop();
    expect(worker.stats).toMatchObject({ done: 1, failed: 2, lost: 0 });
    expect((await place.query("select n from orders")).map(({ n }) => n)).toEqual([3]);
    const [lane] = await qudo.monitor.counts({ queue: "later" });
    expect(lane).toMatchObject({ kind: "follow-up", pending: 1 });
    const attempts: string[] = [];
    for await (const { run, state, error } of qudo.attempts.list({ job: job.id }))
      attempts.push(`${run} ${state} ${error?.includes("QUDO_COMPLETE_ROLLED_BACK") ?? ""}`);
    expect(attempts).toEqual(["1 failed true", "2 failed true", "3 done "]);
    expect((await qudo.doctor()).violations).toEqual([]);
  });
});

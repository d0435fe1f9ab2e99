/** Rows Q12 to Q22 of docs/parity.md: what stands around the queue of Qudo. One test a row, on every database. */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { defineJob } from "qudo";
import { laws, runLaw, type Fixture } from "qudo/testing";
import { run } from "../cli/support/cli.js";
import { mysql } from "../conformance/support/mysql.js";
import { postgresSchema } from "../conformance/support/postgres.js";
import { sqliteThread } from "../conformance/support/fixture.js";
import { mariadb } from "../servers/index.js";
import { all, newQudo, onEachDatabase, type Place } from "./support.js";

onEachDatabase((place) => {
  test("Q19 server time: whatever a worker's clock says, times and delays are the database's", async () => {
    const job = defineJob("job", { run: () => undefined });
    const qudo = newQudo(place.newAddress(), [job]);
    await qudo.migrate();
    const now = Date.now;
    // A file's clock is its host's, and lives in a thread of its own: it is no worker's either.
    Date.now = () => now() + 86_400_000;
    try {
      const { id } = await qudo.enqueue(job, 1);
      const tomorrow = await qudo.enqueue(job, 1, { delay: "23h" });
      expect(await qudo.workOnce()).toBe(true);
      expect(await qudo.workOnce()).toBe(false);
      const [attempt] = await all(qudo.attempts.list({ job: id }));
      for (const at of [attempt!.startedAt!, attempt!.endedAt])
        expect(Math.abs(at.getTime() - now())).toBeLessThan(60_000);
      expect(await qudo.jobs.get(tomorrow.id)).toMatchObject({ state: "pending" });
    } finally {
      Date.now = now;
    }
  });

  test("Q20 the command makes the schema; --dry-run prints its SQL, and makes nothing", async () => {
    const env = { QUDO_DATABASE: place.newAddress() };
    const looked = await run(["migrate", "--dry-run"], { env });
    expect(looked).toMatchObject({ code: 0, stderr: "" });
    expect(looked.stdout).toMatch(/create table[^;]*outcome/);
    if (place.engine === "SQLite")
      expect(existsSync(env.QUDO_DATABASE.replace("sqlite:", ""))).toBe(false);
    else expect(await newQudo(env.QUDO_DATABASE).schemaVersion()).toBeNull();
    expect((await run(["migrate"], { env })).stdout).toContain("tables created");
    expect((await run(["migrate", "--dry-run"], { env })).stdout).toContain("nothing to do");
    // And what was printed is all there is to it: run by hand, it leaves nothing to be done.
    const elsewhere = place.newAddress();
    const { stdout } = await run(["migrate", "--dry-run"], { env: { QUDO_DATABASE: elsewhere } });
    await place.execute(elsewhere, stdout);
    expect((await run(["migrate"], { env: { QUDO_DATABASE: elsewhere } })).stdout).toContain(
      "already at version",
    );
    const job = defineJob("job", { run: () => undefined });
    const qudo = newQudo(elsewhere, [job]);
    await qudo.enqueue(job, 1);
    expect(await qudo.workOnce()).toBe(true);
    expect((await qudo.doctor()).violations).toEqual([]);
  });

  test("Q21 a test kit: the same laws hold on every database, and anybody may run them on another", async () => {
    const fixture = fixtureOf(place);
    const some = laws.filter(({ id }) => id.startsWith("enqueue.") || id.startsWith("fence."));
    expect(some.length).toBeGreaterThan(5);
    for (const law of some) expect(await runLaw(law, fixture)).toMatchObject({ status: "held" });
  });
});

function fixtureOf({ engine }: Place): Fixture {
  if (engine === "SQLite") return sqliteThread();
  if (engine === "PostgreSQL") return postgresSchema("PostgreSQL");
  return mysql("MariaDB", () => mariadb({ durable: false }));
}

/**
 * On servers no operation sends more statements for 100 items than for one. What is exempt is named here with its reason, and
 * tested to need its exemption.
 */
import { describe, expect, test } from "vitest";
import { afterSuccess } from "../../src/core/outcome.js";
import { drain, OPERATIONS } from "../../src/testing/conformance/sets.js";
import {
  Harness,
  newJob,
  settlement,
  type Fixture,
  type HeldJob,
  type TestDatabase,
} from "../../src/testing/index.js";
import { times } from "../../src/testing/conformance/harness.js";
import { has, mariadb } from "../servers/index.js";
import * as mysql from "./support/mysql.js";
import * as postgres from "./support/postgres.js";

type Prepare = (typeof OPERATIONS)[string];

/** Beside those of the laws. */
const MORE: Readonly<Record<string, Prepare>> = {
  "insertJobs, some of them known": async (h, n) => {
    const known = times(n, () => newJob());
    await h.driver.insertJobs(known);
    return () => h.driver.insertJobs([...known, ...times(n, () => newJob())]);
  },
  "claim of several kinds": async (h, n) => {
    const kinds = ["mail", "fax", "wire"];
    await h.enqueueAll(times(3 * n, (i) => ({ kind: kinds[i % 3]! })));
    const worker = await h.worker();
    return () => worker.claim({ kinds, limit: 3 * n });
  },
  "settle and claim, many leases in one trip": async (h, n) => {
    await h.enqueueAll(times(2 * n, (i) => ({ uniqueKey: `of ${i}` })));
    const worker = await h.worker();
    const held: HeldJob[] = [];
    for (let i = 0; i < n; i++) held.push(await worker.claimOne());
    const groups = held.map((job) =>
      worker.group(job.lease, [
        settlement(job, afterSuccess(job), { lines: [worker.line(1, "x")] }),
      ]),
    );
    return () => worker.trip(groups, { limit: n });
  },
  "settle of what others decided": async (h, n) => {
    const ids = await h.enqueueAll(times(n, (i) => ({ uniqueKey: `of ${i}` })));
    const worker = await h.worker();
    const held = await worker.claim({ limit: n });
    await h.driver.cancel(ids);
    const all = held.map((job) => settlement(job, afterSuccess(job)));
    return () => worker.settleAll(held[0]!.lease, all);
  },
  heartbeat: async (h, n) => {
    await h.enqueueAll(times(n, () => ({})));
    const worker = await h.worker();
    const held = await worker.claim({ limit: n });
    return () => worker.heartbeat(...held);
  },
  "release of many leases": async (h, n) => {
    await h.enqueueAll(times(n, () => ({})));
    const worker = await h.worker();
    const held: HeldJob[] = [];
    for (let i = 0; i < n; i++) held.push(await worker.claimOne());
    return () => worker.release(...held);
  },
  payloads: async (h, n) => {
    const ids = await h.enqueueAll(times(n, () => ({})));
    return () => h.driver.payloads(ids);
  },
  getJobs: async (h, n) => {
    const ids = await h.enqueueAll(times(n, () => ({})));
    return () => h.driver.getJobs(ids);
  },
  endings: async (h, n) => {
    const ids = await h.enqueueAll(times(n, () => ({})));
    return () => h.driver.endings(ids);
  },
};

const UNIQUE: Prepare = async (h, n) => {
  const jobs = times(n, (i) => newJob({ uniqueKey: `of ${i}` }));
  return () => h.driver.insertJobs(jobs);
};

interface Server {
  readonly name: string;
  readonly there: boolean;
  readonly fixture: Fixture;
  sent(): number;
  /** Operations that may send more for more; empty for none. */
  readonly exempt: Readonly<Record<string, string>>;
}

const servers: readonly Server[] = [
  {
    name: "PostgreSQL",
    there: await has("postgres"),
    fixture: postgres.postgresSchema("PostgreSQL"),
    sent: postgres.statementsSent,
    exempt: {},
  },
  {
    name: "MariaDB",
    there: await has("mariadb"),
    fixture: mysql.mysql("MariaDB", () => mariadb({ durable: false })),
    sent: mysql.statementsSent,
    exempt: {
      "insertJobs with unique keys":
        "one by one: inserts of several rows into a much used unique index end in deadlocks",
    },
  },
];

const all = { ...OPERATIONS, ...MORE, "insertJobs with unique keys": UNIQUE };

for (const { name, there, fixture, sent, exempt } of servers)
  describe.skipIf(!there)(name, () => {
    test.each(Object.entries(all))("%s", async (operation, prepare) => {
      const [one, hundred] = [
        await statementsOf(fixture, prepare, 1, sent),
        await statementsOf(fixture, prepare, 100, sent),
      ];
      console.log(`${name}: ${operation}: ${one} statements for 1, ${hundred} for 100`);
      if (operation in exempt) expect(hundred, exempt[operation]).toBeGreaterThan(one);
      else expect(hundred, "statements for 100 items").toBeLessThanOrEqual(one);
    });
  });

async function statementsOf(
  fixture: Fixture,
  prepare: Prepare,
  n: number,
  sent: () => number,
): Promise<number> {
  const database: TestDatabase = await fixture.open();
  const h = new Harness(database);
  try {
    await database.driver.migrate();
    // Lanes are written down once and for all.
    await h.enqueueAll(["mail", "fax", "wire"].map((kind) => ({ kind })));
    await drain(h);
    const work = await prepare(h, n);
    const before = sent();
    await work();
    return sent() - before;
  } finally {
    await h.end();
    await database.close();
  }
}

/**
 * A Galera cluster of three nodes, each of which takes writes. What holds on one server by locks must hold here by what is
 * certified at commit: rows that both sides have written.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DatabaseError } from "../../src/core/errors.js";
import type { Driver } from "../../src/storage/driver.js";
import { openMysql } from "../../src/storage/mysql/index.js";
import { mysqlSettings } from "../conformance/support/mysql.js";
import { OPERATIONS } from "../interleavings/operations.js";
import { id, newJob, newSession, wants } from "../interleavings/scenario.js";
import { ServerStage } from "../interleavings/servers/stage.js";
import { has, startGalera, type Galera } from "../servers/index.js";
import { galeraUnderTest } from "./galera/interleaved.js";
import { newShared, type Shared } from "./galera/shared.js";
import { temporaryFolder } from "./support.js";

const PART = fileURLToPath(new URL("fixtures/galera-part.mjs", import.meta.url));
/** So many from each of three processes. */
const SHARE = Number(process.env["QUDO_GALERA_JOBS"] ?? 1_000);
/** Left to the worker whose node was killed. */
const LAST = 40;

/** Whose arbiter on one server would be a lock, or might be. */
const PAIRS = [
  ["claim by a living session", "claim by a living session"],
  ["claim by the dying session", "reap"],
  ["cancel", "claim by a living session"],
  ["settle done", "reap"],
  ["settle done", "markStarted"],
  ["markStarted", "reap"],
  ["report", "reap"],
  ["enqueue", "enqueue"],
  ["enqueue with taken keys", "enqueue with taken keys"],
  ["settle a cancelled run", "retry"],
  ["reap", "retry"],
  ["retry", "retry"],
  ["retry", "prune the rest"],
  ["promote", "promote"],
  ["promote", "cancel"],
] as const;

describe.skipIf(!(await has("galera")))("on a Galera cluster", () => {
  let cluster: Galera;
  let shared: Shared;

  beforeAll(async () => {
    cluster = await startGalera({ durable: false });
  }, 180_000);
  afterAll(() => cluster?.close());

  const open = (node: number): Promise<Driver> =>
    openMysql(mysqlSettings(shared.urls[node]!, { statementTimeoutMs: 5_000 }));

  describe("of two operations on two nodes, stopped before each statement,", () => {
    const stage = new ServerStage();
    beforeAll(async () => {
      shared = await newShared(cluster);
      await stage.open(await galeraUnderTest(shared));
    });
    afterAll(() => stage.close());

    it.each(PAIRS)("%s and %s leave nothing broken and no answer untrue", async (one, other) => {
      const calls = [OPERATIONS[one]!("first"), OPERATIONS[other]!("second")] as const;
      for (const [first, second] of [calls, [calls[1], calls[0]] as const])
        for (const lagging of [false, true]) {
          const { wrong, played } = await stage.everywhere(first, second, { lagging });
          expect(wrong).toEqual([]);
          expect(played).toBeGreaterThan(1);
        }
    });
  });

  it("claims of one lane on all nodes at once conflict, and each job is claimed once", async () => {
    shared = await newShared(cluster);
    const drivers = await migrated();
    const places = { "one node": [0, 0, 0], "three nodes": [0, 1, 2] };
    const met: number[] = [];
    for (const [where, nodes] of Object.entries(places)) {
      const workers = await Promise.all(nodes.map(open));
      const names = Array.from({ length: 60 }, (_, i) => `${where}, job ${i}`);
      await drivers[0]!.insertJobs(names.map((name) => newJob(name, "k")));
      await shared.replicated();
      const [before, begin] = [await conflicts(), performance.now()];
      const claimed = await Promise.all(workers.map((w, i) => claimAll(w, `${where} ${i}`)));
      const ms = performance.now() - begin;
      met.push((await conflicts()) - before);
      console.log(
        `claims by three workers on ${where}: ` +
          `${claimed.map((one) => `${one.jobs.length} jobs in ${one.claims} claims`).join(", ")}; ` +
          `${met.at(-1)} conflicts, ${ms.toFixed(0)} ms`,
      );
      const jobs = claimed.flatMap((one) => one.jobs);
      expect(jobs.toSorted()).toEqual(names.map(id).toSorted());
      await close(workers);
    }
    expect(met[0]).toBe(0);
    expect(met[1]).toBeGreaterThan(0);
    expect(await shared.audits()).toEqual([[], [], []]);
    await close(drivers);
  });

  it("a resend to another node at once finds what the first one has committed", async () => {
    shared = await newShared(cluster);
    const drivers = await migrated();
    for (let n = 0; n < 40; n++) {
      const job = newJob(`sent twice ${n}`, "k", n % 2 ? { uniqueKey: `key ${n}` } : {});
      expect(await drivers[0]!.insertJobs([job])).toEqual([{ status: "inserted" }]);
      expect(await drivers[1]!.insertJobs([job])).toEqual([{ status: "duplicate" }]);
    }
    expect(await shared.audits()).toEqual([[], [], []]);
    await close(drivers);
  });

  it("a node cut off from the others says so, and works again when it is back", async () => {
    shared = await newShared(cluster);
    const drivers = await migrated();
    const isolate = async (on: 0 | 1) =>
      void (await (
        await shared.at(2)
      ).query(`set global wsrep_provider_options = 'gmcast.isolate=${on}'`));
    const admin = await shared.at(2);
    await admin.query("set session wsrep_sync_wait = 0");
    await drivers[2]!.insertJobs([newJob("before", "k")]);
    await isolate(1);
    await until(async () => (await statusOf(2)) !== "Primary");
    // Looks are not repeated, and that is what begins a job of an unknown kind; transactions are.
    const refused = await drivers[2]!.insertJobs([newJob("cut off", "new")]).catch((e: Error) => e);
    expect(refused).toBeInstanceOf(DatabaseError);
    expect(refused).toMatchObject({ code: "QUDO_DATABASE_UNREACHABLE", transient: true });
    expect((refused as Error).message).toContain("not connected to most of the others");
    const newcomer = await open(2).then(
      () => null,
      (error: Error) => error,
    );
    expect(newcomer).toMatchObject({ code: "QUDO_DATABASE_UNREACHABLE", transient: true });
    const working = drivers[0]!.insertJobs([newJob("meanwhile", "k")]);
    expect(await working).toEqual([{ status: "inserted" }]);
    // Begins while the node is alone, is repeated, and ends well when it is back.
    const patient = drivers[2]!.insertJobs([newJob("patient", "k")]);
    await isolate(0);
    expect(await patient).toEqual([{ status: "inserted" }]);
    await until(async () => (await statusOf(2)) === "Primary");
    expect(await shared.audits()).toEqual([[], [], []]);
    await close(drivers);
  });

  it("a node is killed under load and comes back: nothing lost, nothing double", async () => {
    shared = await newShared(cluster);
    await close(await migrated());
    const folder = temporaryFolder();
    const logs = [0, 1, 2].map((node) => join(folder.path, `${node}.log`));
    for (const log of logs) writeFileSync(log, "");
    const begin = performance.now();
    const parts = logs.map((log, node) =>
      fork(PART, [shared.urls[node]!, `part ${node}`, String(SHARE), log]),
    );
    try {
      const produced = Promise.all(parts.map((part) => producedAll(part)));
      await Promise.all(parts.map((part) => once(part, "message")));
      await cluster.nodes[2]!.kill();
      await sleep(1_000);
      await cluster.nodes[2]!.start();
      await produced;
      const driver = await open(0);
      const left = async (): Promise<number> =>
        (await driver.counts({})).reduce(
          (sum, { pending, failed, reserved, running }) =>
            sum + pending + failed + reserved + running,
          0,
        );
      await until(async () => (await left()) === 0, 90_000);
      const seconds = (performance.now() - begin) / 1_000;
      const done = await Promise.all(parts.slice(0, 2).map(stopped));
      // Now only the worker whose node was killed is left.
      const last = Array.from({ length: LAST }, (_, n) =>
        newJob(`last ${n}`, "job", {
          queue: "default",
          payload: { codec: 1, text: "null", bin: null },
        }),
      );
      await driver.insertJobs(last);
      await until(async () => (await left()) === 0, 60_000);
      done.push(await stopped(parts[2]!));
      const events = logs.flatMap((log) => readFileSync(log, "utf8").trim().split("\n"));
      const of = (event: string): string[] =>
        events.filter((line) => line.startsWith(`${event} `)).map((line) => line.split(" ")[1]!);
      const [enqueued, started] = [of("enqueued"), of("started")];
      expect(enqueued).toHaveLength(3 * SHARE);
      // No run is started twice; a job whose worker was lost runs again under the next number.
      expect(new Set(started).size).toBe(started.length);
      const ended = await driver.getJobs(enqueued.slice(0, 1_000));
      expect(ended.filter((job) => job?.state !== "done")).toEqual([]);
      const counts = await driver.counts({});
      expect(counts.reduce((sum, lane) => sum + lane.done, 0)).toBe(3 * SHARE + LAST);
      expect(new Set(started.map((key) => key.split("/")[0])).size).toBe(3 * SHARE + LAST);
      expect(done[2]).toBeGreaterThanOrEqual(LAST);
      console.log(
        `${3 * SHARE} jobs, one node killed: ${seconds.toFixed(1)} s, done by each ${done.join(", ")}, ` +
          `${started.length - 3 * SHARE - LAST} started again, ${await conflicts()} conflicts since the nodes began`,
      );
      expect(await shared.audits()).toEqual([[], [], []]);
      await driver.close();
    } finally {
      for (const part of parts) part.kill("SIGKILL");
      folder.remove();
    }
  }, 180_000);

  /** A driver on each node; the tables are made from all of them at once. */
  async function migrated(): Promise<Driver[]> {
    const drivers = await Promise.all([0, 1, 2].map(open));
    await Promise.all(drivers.map((driver) => driver.migrate()));
    await shared.replicated();
    return drivers;
  }

  async function conflicts(): Promise<number> {
    const [failed, aborted] = await Promise.all(
      ["wsrep_local_cert_failures", "wsrep_local_bf_aborts"].map((name) => shared.status(name)),
    );
    return failed! + aborted!;
  }

  async function statusOf(node: number): Promise<unknown> {
    const [rows] = await (
      await shared.at(node)
    ).query("show global status like 'wsrep_cluster_status'");
    return (rows as { Value: string }[])[0]!.Value;
  }
});

async function claimAll(driver: Driver, name: string): Promise<{ jobs: string[]; claims: number }> {
  const session = newSession(`worker ${name}`);
  await driver.openSession(session);
  const jobs: string[] = [];
  for (let claims = 1; ; claims++) {
    const claim = { lease: id(`${name} ${claims}`), session: session.id };
    const { claimed } = await driver.trip({
      settle: [],
      claim: { ...claim, wants: wants("k").map((want) => ({ ...want, limit: 2 })) },
    });
    if (claimed.length === 0) return { jobs, claims };
    jobs.push(...claimed.map(({ job }) => job));
  }
}

const close = (drivers: readonly Driver[]): Promise<unknown> =>
  Promise.all(drivers.map((driver) => driver.close()));

async function producedAll(part: ChildProcess): Promise<void> {
  for (;;) {
    const [said] = (await once(part, "message")) as [{ produced?: number }];
    if ((said.produced ?? 0) >= SHARE) return;
  }
}

async function stopped(part: ChildProcess): Promise<number> {
  const said = once(part, "message");
  part.send("stop");
  return ((await said) as [{ done: number }])[0].done;
}

async function until(so: () => Promise<boolean>, withinMs = 30_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await so())) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms`);
    await sleep(50);
  }
}

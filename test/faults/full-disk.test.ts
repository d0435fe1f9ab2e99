/** No room left: nothing is half-written, the error is clear, few words are made of it, and work goes on when there is room. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { defineJob, Qudo } from "../../src/index.js";
import type { Driver } from "../../src/storage/driver.js";
import { openTransaction } from "../../src/storage/open.js";
import { openSqlite, type HandleLike } from "../../src/storage/sqlite/index.js";
import { jsonPayload, newJob, times } from "../../src/testing/conformance/harness.js";
import { TestWorker } from "../../src/testing/conformance/worker.js";
import { openHandle } from "../conformance/support/handle.js";

const folder = mkdtempSync(join(tmpdir(), "qudo-full-disk-"));
const disk = join(folder, "disk");
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const bulky = () => newJob({ payload: jsonPayload("x".repeat(20_000)), uniqueKey: null });

/** Enqueues until there is no room, by `size` in a call. Returns what was acknowledged, and the error. */
async function fill(driver: Driver, size: number): Promise<[string[], Error]> {
  const acknowledged: string[] = [];
  for (let calls = 1; calls <= 5_000; calls++) {
    const jobs = times(size, bulky);
    try {
      await driver.insertJobs(jobs);
      acknowledged.push(...jobs.map(({ id }) => id));
    } catch (error) {
      return [acknowledged, error as Error];
    }
  }
  throw new Error("it is never full");
}

const FULL = {
  name: "DatabaseError",
  code: "QUDO_DATABASE_FULL",
  transient: true,
  message: expect.stringMatching(/no room to grow.*Nothing was written/) as string,
};

async function pending(driver: Driver): Promise<number> {
  return (await driver.counts({})).reduce((sum, lane) => sum + lane.pending, 0);
}

describe("a file that may not grow", () => {
  let handle: HandleLike;
  let driver: Driver;
  let files = 0;

  async function open(): Promise<void> {
    const path = join(folder, `${++files}.db`);
    handle = await openHandle(path);
    handle.exec("pragma journal_mode=wal; pragma synchronous=off");
    driver = await openSqlite({ path, handle });
    await driver.migrate();
    closing.push(() => handle.close());
  }

  const limitTo = (more: number): void => {
    const { page_count: pages } = handle.prepare("pragma page_count").get() as {
      page_count: number;
    };
    handle.exec(`pragma max_page_count=${pages + more}`);
  };

  test.each([1, 7])(
    "enqueues by %d: what was refused is wholly absent, the rest whole",
    async (n) => {
      await open();
      limitTo(500);
      const [acknowledged, error] = await fill(driver, n);
      expect(error).toMatchObject(FULL);
      expect(acknowledged.length).toBeGreaterThan(50);
      expect(acknowledged.length % n).toBe(0);
      expect(await pending(driver)).toBe(acknowledged.length);
      await expect(driver.ping()).rejects.toMatchObject(FULL);
      expect(await driver.audit()).toEqual([]);
      expect(handle.prepare("pragma integrity_check").get()).toEqual({ integrity_check: "ok" });
      limitTo(1_000);
      await driver.insertJobs([bulky()]);
      expect(await pending(driver)).toBe(acknowledged.length + 1);
    },
  );

  test("a settle that finds no room is not recorded, and is accepted when there is some", async () => {
    await open();
    await driver.insertJobs(times(3, () => newJob()));
    const worker = await TestWorker.open(driver);
    const held = await worker.claim();
    limitTo(0);
    const result = JSON.stringify("x".repeat(500_000));
    await expect(worker.done(held[0]!, { result })).rejects.toMatchObject(FULL);
    expect(await driver.audit()).toEqual([]);
    expect((await driver.getJobs([held[0]!.job]))[0]?.state).toBe("reserved");
    limitTo(1_000);
    expect(await worker.done(held[0]!, { result })).toBe("accepted");
    expect(await driver.audit()).toEqual([]);
  });

  test("in the user's transaction: the call is taken back, and the user decides about the rest", async () => {
    await open();
    handle.exec("create table orders (id integer primary key)");
    limitTo(20);
    const tx = openTransaction(handle, { handle });
    handle.exec("begin immediate; insert into orders default values");
    let full: unknown;
    try {
      tx.insertJobs(times(50, bulky));
    } catch (error) {
      full = error;
    }
    expect(full).toMatchObject(FULL);
    if (handle.isTransaction === true) handle.exec("rollback");
    expect(handle.prepare("select count(*) as n from orders").get()).toEqual({ n: 0 });
    expect([await pending(driver), await driver.audit()]).toEqual([0, []]);
    limitTo(1_000);
    expect(tx.insertJobs(times(50, bulky))).toHaveLength(50);
  });
});

// A disk of 4 MiB for the real thing; only root may mount one.
mkdirSync(disk);
const mounted = mount();
if (mounted !== null)
  console.warn(
    `full-disk.test.ts: a disk cannot be mounted here, its tests are skipped: ${mounted}`,
  );

/** Null when it is there, else why not. */
function mount(): string | null {
  if (process.platform !== "linux") return "only tried on Linux";
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], { stdio: "pipe" });
    return null;
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr ?? error).trim();
  }
}

afterAll(() => {
  if (mounted === null) execFileSync("umount", ["-l", disk]);
  rmSync(folder, { recursive: true, force: true });
});

const filler = join(disk, "filler");

/** Takes all that is left. */
function takeRoom(): void {
  for (const size of [1_048_576, 65_536, 4_096])
    for (;;)
      try {
        writeFileSync(filler, Buffer.alloc(size), { flag: "a" });
      } catch {
        break;
      }
}

describe.skipIf(mounted !== null)("a disk that is full", () => {
  const path = join(disk, "jobs.db");
  const echo = defineJob("mail", { run: () => undefined });

  beforeAll(async () => {
    const driver = await openSqlite({ path });
    await driver.migrate();
    await driver.close();
  });

  test("ten times: what was acknowledged is there, the rest is not, and it goes on when room is made", async () => {
    const driver = await openSqlite({ path });
    closing.push(() => driver.close());
    const all: string[] = [];
    for (let round = 1; round <= 10; round++) {
      takeRoom();
      const [acknowledged, error] = await fill(driver, 3);
      expect(error).toMatchObject(FULL);
      await expect(driver.ping()).rejects.toMatchObject(FULL);
      all.push(...acknowledged);
      expect(await driver.audit()).toEqual([]);
      rmSync(filler);
      await driver.ping();
      const job = newJob();
      await driver.insertJobs([job]);
      all.push(job.id);
      await driver.cancel(acknowledged);
    }
    expect((await driver.payloads(all)).every((payload) => payload !== null)).toBe(true);
    const handle = await openHandle(path);
    expect(handle.prepare("pragma integrity_check").get()).toEqual({ integrity_check: "ok" });
    handle.close();
  });

  test("a write that is rolled back does not hide it, and the one that finds room again ends it", async () => {
    const driver = await openSqlite({ path });
    closing.push(() => driver.close());
    await driver.ping();
    takeRoom();
    // Until its log is full, too, it does take writes.
    const [acknowledged] = await fill(driver, 1);
    for (let i = 0; i < 3; i++) await expect(driver.ping()).rejects.toMatchObject(FULL);
    rmSync(filler);
    await driver.ping();
    await driver.cancel(acknowledged);
  });

  test("a worker on it says so once, and takes up its work when there is room", async () => {
    const lines: string[] = [];
    const keep = (line: string): void => void lines.push(line);
    const logger = { debug() {}, info() {}, warn: keep, error: keep };
    const qudo = new Qudo({ databases: `sqlite:${path}`, jobs: [echo] });
    closing.push(() => qudo.close());
    const worker = await qudo.work({ logger, lease: "6s" });
    const producer = await openSqlite({ path });
    closing.push(() => producer.close());
    takeRoom();
    // The worker is at its work while it becomes full: it settles, claims, beats and looks for what is due.
    await fill(producer, 1);
    // Three heartbeats' time of trying, all of it in vain.
    const until = performance.now() + 6_000;
    while (performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(lines).toEqual([expect.stringContaining("no room to grow")]);
    rmSync(filler);
    const deadline = performance.now() + 35_000;
    while ((await pending(producer)) > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await pending(producer)).toBe(0);
    await worker.stop();
    expect(lines.length).toBeLessThanOrEqual(2);
    expect(await producer.audit()).toEqual([]);
  });
});

/** The file as a whole: its copy while others write, and its size while jobs come and go. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { afterSuccess } from "../../src/core/outcome.js";
import type { Driver } from "../../src/storage/driver.js";
import { openSqlite } from "../../src/storage/sqlite/index.js";
import { newJob, times } from "../../src/testing/conformance/harness.js";
import { settlement, TestWorker } from "../../src/testing/conformance/worker.js";
import { openHandle } from "./support/handle.js";

/** In memory where the system has such a place. */
const BASE = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const writer = new URL("./support/writer.mjs", import.meta.url);

let folder: string;
let path: string;
let driver: Driver;
let now = 1_800_000_000_000;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(BASE, "qudo-file-"));
  path = join(folder, "jobs.db");
  driver = await openSqlite({ path, clock: () => now });
  await driver.migrate();
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  await driver.close();
  rmSync(folder, { recursive: true });
});

async function check(file: string): Promise<number> {
  const handle = await openHandle(file);
  const { integrity_check: found } = handle.prepare("pragma integrity_check").get() as {
    integrity_check: string;
  };
  expect(found).toBe("ok");
  const copy = await openSqlite({ path: file, handle });
  expect(await copy.audit()).toEqual([]);
  const { n } = handle.prepare("select count(*) as n from qudo_job").get() as { n: number };
  handle.close();
  return n;
}

test("backups made while another process writes are whole, each as of its moment", async () => {
  const child = fork(writer, [path]);
  children.push(child);
  await once(child, "message");
  const sizes: number[] = [];
  for (const name of ["one", "two", "three"]) {
    const target = join(folder, name);
    const { bytes } = await driver.backup!(target);
    expect(bytes).toBe(statSync(target).size);
    sizes.push(await check(target));
    await once(child, "message");
  }
  expect(sizes[0]).toBeGreaterThan(0);
  expect(sizes[1]).toBeGreaterThan(sizes[0]!);
  expect(sizes[2]).toBeGreaterThan(sizes[1]!);
  expect(readdirSync(folder).filter((name) => name.endsWith(".partial"))).toEqual([]);
});

test("a backup is its owner's alone, and a queue like the first", async () => {
  const jobs = times(10, () => newJob());
  await driver.insertJobs(jobs);
  const target = join(folder, "it's a copy");
  await driver.backup!(target);
  expect(statSync(target).mode & 0o777).toBe(0o600);
  const copy = await openSqlite({ path: target, clock: () => now });
  const worker = await TestWorker.open(copy);
  expect((await worker.claim()).map(({ job }) => job)).toEqual(jobs.map(({ id }) => id));
  await copy.close();
});

test("what stands under the name already is refused and left as it is", async () => {
  const target = join(folder, "copy");
  writeFileSync(target, "mine");
  await expect(driver.backup!(target)).rejects.toMatchObject({ code: "QUDO_BACKUP_EXISTS" });
  await expect(driver.backup!(path)).rejects.toMatchObject({ code: "QUDO_BACKUP_EXISTS" });
  expect(statSync(target).size).toBe(4);
  writeFileSync(join(folder, "other.partial"), "half");
  await expect(driver.backup!(join(folder, "other"))).rejects.toMatchObject({
    code: "QUDO_BACKUP_EXISTS",
    message: expect.stringContaining("other.partial") as string,
  });
  expect(statSync(join(folder, "other.partial")).size).toBe(4);
});

test("a backup that fails leaves nothing behind, and says which path it was", async () => {
  const target = join(folder, "missing", "copy");
  await expect(driver.backup!(target)).rejects.toMatchObject({
    code: "QUDO_DATABASE_UNREACHABLE",
    message: expect.stringContaining(target) as string,
  });
  const handle = await openHandle(path);
  const late = join(folder, "late");
  const broken = {
    exec: (sql: string) => handle.exec(sql),
    close: () => handle.close(),
    prepare(sql: string) {
      // It comes into being while the copy is made.
      if (sql.startsWith("vacuum")) mkdirSync(late);
      return handle.prepare(sql);
    },
  };
  const other = await openSqlite({ path, handle: broken });
  await expect(other.backup!(late)).rejects.toMatchObject({ code: "QUDO_BACKUP_EXISTS" });
  handle.close();
  expect(readdirSync(folder).filter((name) => name.endsWith(".partial"))).toEqual([]);
});

/** So many jobs are enqueued, done and pruned. */
async function live(jobs: number): Promise<void> {
  const worker = await TestWorker.open(driver);
  for (let n = 0; n < jobs; n += 1_000) {
    await driver.insertJobs(times(1_000, () => newJob()));
    for (const limit of [500, 500]) {
      const held = await worker.claim({ limit });
      const all = held.map((job) => settlement(job, afterSuccess(job)));
      await worker.settleAll(held[0]!.lease, all);
    }
  }
  now += 3_600_000;
  let after: string | null = null;
  for (let more = true; more;) {
    const step = await driver.prune({ scan: "done", keepMs: 0, after, limit: 1_000 });
    ({ after, more } = step);
  }
}

test("space of pruned jobs is used again: the file does not grow; compacting gives it back", async () => {
  await live(50_000);
  const size = (): number => statSync(path).size;
  const handle = await openHandle(path);
  const checkpoint = (): unknown => handle.exec("pragma wal_checkpoint(truncate)");
  checkpoint();
  const first = size();
  expect(first).toBeGreaterThan(10_000_000);
  await live(50_000);
  checkpoint();
  expect(size()).toBeLessThanOrEqual(first * 1.01);
  handle.close();
  const { bytesBefore, bytesAfter } = await driver.compact!();
  expect(bytesBefore).toBeGreaterThan(10_000_000);
  expect(bytesAfter).toBeLessThan(500_000);
  expect(size()).toBe(bytesAfter);
  expect(await check(path)).toBe(0);
});

import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { watch } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { has } from "./index.js";
import { processesIn } from "./processes.js";
import { startRun } from "./run.js";

const own = await Promise.all([
  has("postgres", { own: true }),
  has("mariadb", { own: true }),
  has("pgbouncer"),
]);

describe("a run of tests", () => {
  it("leaves out what it has no server for, and says at its end how to get it", async () => {
    const { code, output } = await startRun("missing").ended;
    expect(output).toMatch(/1 passed \| 1 skipped/);
    expect(output).toMatch(/LEFT OUT[^]*\n {2}PostgreSQL newer than 1000: .*npm run get:postgres/);
    expect(code).toBe(0);
  });

  it.each(["QUDO_TEST_ALL", "CI"])("fails for it where %s is set", async (name) => {
    const { code, output } = await startRun("missing", { [name]: "1" }).ended;
    expect(output).toMatch(/1 failed \| 1 passed/);
    expect(output).toContain("MissingServer: This machine has no PostgreSQL newer than 1000.");
    expect(output).not.toContain("LEFT OUT");
    expect(code).toBe(1);
  });

  it.skipIf(own.includes(false))(
    "leaves nothing behind when it is killed",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "qudo-run-"));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      // Their user is another one.
      chmodSync(folder, 0o755);
      const run = startRun("hangs", { QUDO_TEST_FOLDER: folder, QUDO_SAYS: join(folder, "says") });
      onTestFinished(() => void run.process.kill("SIGKILL"));
      await Promise.race([until(folder, "says"), run.ended.then(fail)]);

      const { urls, worker } = JSON.parse(readFileSync(join(folder, "says"), "utf8")) as Said;
      onTestFinished(() => endWorker(worker));
      for (const url of urls) expect(await answers(url)).toBe(true);
      expect(readdirSync(folder).filter((name) => name.startsWith("qudo-"))).toHaveLength(
        urls.length,
      );
      expect(processesIn(folder).length).toBeGreaterThan(urls.length);

      run.process.kill("SIGKILL");
      await expect.poll(() => readdirSync(folder), SOON).toEqual(["says"]);
      expect(processesIn(folder)).toEqual([]);
      for (const url of urls) expect(await answers(url)).toBe(false);
    },
    120_000,
  );
});

const SOON = { timeout: 20_000, interval: 20 };

interface Said {
  readonly urls: readonly string[];
  readonly worker: number;
}

/** Resolves when the file is there. */
async function until(folder: string, name: string): Promise<void> {
  for await (const _ of watch(folder)) if (existsSync(join(folder, name))) return;
}

function fail({ output }: { output: string }): never {
  throw new Error(`It ended too early:\n${output}`);
}

/** What hangs in a test may outlive its run. */
function endWorker(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It did not.
  }
}

function answers(url: string): Promise<boolean> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  return once(socket, "connect")
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy());
}

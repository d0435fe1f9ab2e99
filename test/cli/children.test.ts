/** `qudo work --processes`: a parent, its children, and the signals of a service. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defineJob, Qudo, type PreforkFigures, type WorkerStats } from "../../src/index.js";
import { Cli, fixture, newFolder } from "./support/cli.js";

let folder: ReturnType<typeof newFolder>;
let database: string;

beforeEach(() => {
  folder = newFolder();
  database = `sqlite:${folder.path("jobs.db")}`;
});
afterEach(() => folder.remove());

const JOBS = fixture("jobs.mjs");

function work(...args: string[]): Cli {
  return new Cli(["work", "--database", database, "--jobs", JOBS, ...args]);
}

async function enqueue(kind: string, payload: unknown = null, queue = "default"): Promise<void> {
  await using qudo = new Qudo({ databases: database });
  await qudo.enqueue(defineJob(kind, { queue, run: () => undefined }), payload);
}

/** Pids of the sessions that are open. */
async function workers(): Promise<number[]> {
  await using qudo = new Qudo({ databases: database });
  return (await qudo.monitor.workers()).map(({ pid }) => pid);
}

async function until<T>(
  what: string,
  look: () => Promise<T>,
  holds: (found: T) => boolean,
): Promise<T> {
  const end = performance.now() + 20_000;
  for (;;) {
    const found = await look();
    if (holds(found)) return found;
    if (performance.now() > end) throw new Error(`in vain: ${what}: ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The pid that the parent says of itself. */
async function parentOf(cli: Cli): Promise<number> {
  await cli.said("(parent: pid ");
  return Number(/parent: pid (\d+)/.exec(cli.text)![1]);
}

describe("qudo work --processes", () => {
  it("keeps so many at work, and ends with the figures of all", async () => {
    await using cli = work("--processes", "3", "--json");
    const pids = await until("three work", workers, (found) => found.length === 3);
    expect(pids).not.toContain(await parentOf(cli));
    for (let i = 0; i < 6; i++) await enqueue("greet", { name: `Ada ${i}` }, "mail");
    for (let i = 0; i < 6; i++) await cli.said(`hello Ada ${i}`);
    cli.signal("SIGTERM");
    const { code, stdout, stderr } = await cli.ended;
    expect(stderr).toContain("SIGTERM: stopping the children");
    const figures = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as WorkerStats;
    expect(figures).toMatchObject({ processes: 3, crashes: 0, restarts: 0, done: 6, failed: 0 });
    expect(code).toBe(0);
    expect(pids.filter(lives)).toEqual([]);
    expect(await workers()).toEqual([]);
  });

  it("lets handlers finish at Ctrl-C, which a terminal sends to all of them", async () => {
    await enqueue("patient");
    await using cli = work("--processes", "2");
    await cli.said("patient started");
    const pids = await until("two work", workers, (found) => found.length === 2);
    cli.signal("SIGINT");
    for (const pid of pids) process.kill(pid, "SIGINT");
    await cli.said("SIGINT: stopping the children");
    // The children share the parent's stdin.
    cli.tell("go on");
    const { code, stderr } = await cli.ended;
    expect(stderr).toContain("stopped: 1 done, 0 failed");
    expect(code).toBe(0);
  });

  it("a second signal ends the children at once, and what ran is given back", async () => {
    await enqueue("patient");
    await using cli = work("--processes", "1");
    await cli.said("patient started");
    cli.signal("SIGTERM");
    await cli.said("SIGTERM: stopping the children");
    await new Promise((resolve) => setTimeout(resolve, 350));
    cli.signal("SIGTERM");
    const begin = performance.now();
    await cli.ended;
    expect(performance.now() - begin).toBeLessThan(3_000);
    await using qudo = new Qudo({ databases: database });
    const [lane] = await qudo.monitor.counts();
    expect(lane).toMatchObject({ kind: "patient", pending: 1, reserved: 0, running: 0 });
  });

  it("SIGHUP replaces them one by one", async () => {
    await using cli = work("--processes", "2");
    const before = await until("two work", workers, (found) => found.length === 2);
    const parent = await parentOf(cli);
    cli.signal("SIGHUP");
    await cli.said("all children were restarted");
    const after = await workers();
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    expect(after).toHaveLength(2);
    expect(before.filter(lives)).toEqual([]);
    expect(lives(parent)).toBe(true);
    cli.signal("SIGTERM");
    expect((await cli.ended).code).toBe(0);
  });

  it("a parent that is killed leaves no children behind", async () => {
    await using cli = work("--processes", "2");
    const pids = await until("two work", workers, (found) => found.length === 2);
    cli.signal("SIGKILL");
    await until(
      "all have left",
      async () => pids.filter(lives),
      (left) => left.length === 0,
    );
    expect(await workers()).toEqual([]);
  });

  it("--health alone watches over one process", async () => {
    await using cli = work("--health", "0");
    await until("it works", workers, (found) => found.length === 1);
    await cli.said("is ready");
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(cli.text)!;
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    const figures = (await (await fetch(url)).json()) as PreforkFigures;
    expect(figures).toMatchObject({ ready: 1, processes: 1, pid: await parentOf(cli) });
    cli.signal("SIGTERM");
    expect((await cli.ended).code).toBe(0);
  });

  it("--max-jobs replaces a child after so many", async () => {
    await using cli = work("--max-jobs", "2");
    const [first] = await until("it works", workers, (found) => found.length === 1);
    for (let i = 0; i < 5; i++) await enqueue("greet", { name: `Ada ${i}` }, "mail");
    for (let i = 0; i < 5; i++) await cli.said(`hello Ada ${i}`);
    await until("another one works", workers, (now) => now.length === 1 && now[0] !== first);
    cli.signal("SIGTERM");
    const { stderr, code } = await cli.ended;
    expect(stderr).toContain("stopped: 5 done");
    expect(code).toBe(0);
  });

  it("a job file that cannot be used is told once, with the exit code of wrong usage", async () => {
    const missing = folder.path("missing.js");
    const cli = new Cli(["work", "--database", database, "--jobs", missing, "--processes", "3"]);
    const { code, stderr } = await cli.ended;
    expect(stderr.match(/QUDO_JOBS_FILE/g)).toHaveLength(1);
    expect(code).toBe(2);
  });

  it("with --json that is one object on stdout", async () => {
    const missing = folder.path("missing.js");
    const cli = new Cli([
      "work",
      "--database",
      database,
      "--jobs",
      missing,
      "--processes",
      "2",
      "--json",
    ]);
    const { code, stdout } = await cli.ended;
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "QUDO_JOBS_FILE" } });
    expect(code).toBe(2);
  });

  it("no address stands on a command line that came in the environment", async () => {
    const args = ["work", "--jobs", JOBS, "--processes", "1"];
    await using cli = new Cli(args, { env: { QUDO_DATABASE: database } });
    const [pid] = await until("it works", workers, (found) => found.length === 1);
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).not.toContain(database);
    cli.signal("SIGTERM");
    expect((await cli.ended).code).toBe(0);
  });
});

describe("qudo work", () => {
  it("--isolate runs handlers of a file that knows nothing of it in processes", async () => {
    await enqueue("greet", { name: "Ada" }, "mail");
    await using cli = work("--isolate", "process", "--queue", "mail");
    await cli.said("hello Ada");
    const parent = Number(/\(pid (\d+)\)/.exec(cli.text)![1]);
    const children = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").trim();
    expect(children.split(" ")).toHaveLength(1);
    cli.signal("SIGTERM");
    const { code, stderr } = await cli.ended;
    expect(stderr).toContain("stopped: 1 done");
    expect(code).toBe(0);
  });

  it.each([
    { args: ["--processes", "none"], says: "--processes is" },
    { args: ["--processes", "0"], says: "--processes is 0" },
    { args: ["--max-jobs", "-1"], says: "--max-jobs is -1" },
    { args: ["--health", "somewhere"], says: 'health is "somewhere"' },
    { args: ["--throttle", "2"], says: '--throttle: "2" is no part of the time' },
    { args: ["--isolate", "island"], says: 'isolate is "island"' },
    { args: ["--processes", "2", "--grace", "soon"], says: '--grace: "soon" is no duration' },
  ])("$args: $says", async ({ args, says }) => {
    const { code, stderr } = await work(...args).ended;
    expect(stderr).toContain(says);
    expect(code).toBe(2);
  });
});

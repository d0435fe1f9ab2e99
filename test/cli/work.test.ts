import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defineJob, Qudo, type LaneCounts, type WorkerStats } from "../../src/index.js";
import { Cli, fixture, newFolder, run, runJson } from "./support/cli.js";

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

interface Status {
  lanes: LaneCounts[];
  workers: { name: string; pid: number; kinds: string[]; seenAt: string; startedAt: string }[];
}

async function status(): Promise<Status> {
  return (await runJson<Status>(["status", "--database", database])).json;
}

describe("work", () => {
  it("runs jobs of named and default exports, and stops at SIGTERM with its figures", async () => {
    await enqueue("greet", { name: "Ada" }, "mail");
    await enqueue("fail");
    await using worker = work("--name", "tester");
    await worker.said(`working on ${database}, kinds: `);
    await worker.said("hello Ada");
    await worker.said("failing");
    worker.signal("SIGTERM");
    const { code, stderr } = await worker.ended;
    expect(stderr).toMatch(/^working on .*, kinds: .*patient.*greet.* \(pid \d+\); Ctrl-C stops$/m);
    expect(stderr).toContain("SIGTERM: stopping; running jobs have 30 s to finish");
    expect(stderr).toContain(
      "stopped: 1 done, 1 failed, 0 abandoned, 0 given back, 0 lost to others",
    );
    expect(code).toBe(0);
  });

  it("is seen in status while it works, and gone after", async () => {
    await using worker = work("--name", "tester", "--queue", "mail=3", "default");
    await enqueue("patient");
    await worker.said("patient started");
    const { workers } = await status();
    expect(workers).toMatchObject([{ name: "tester", kinds: expect.arrayContaining(["greet"]) }]);
    expect(workers[0]?.seenAt).toBe(new Date(workers[0]!.seenAt).toISOString());
    expect((await run(["status", "--database", database])).stdout).toMatch(
      /^tester +\d+ .* ago +1$/m,
    );
    worker.tell("go on");
    worker.signal("SIGINT");
    expect((await worker.ended).code).toBe(0);
    expect((await status()).workers).toEqual([]);
  });

  it("serves only the queues it is told to", async () => {
    await enqueue("fail");
    await enqueue("greet", { name: "Ada" }, "mail");
    await using worker = work("--queue", "mail");
    await worker.said("hello Ada");
    worker.signal("SIGTERM");
    expect((await worker.ended).stdout).not.toContain("failing");
  });

  it("--json ends with one line of figures on stdout", async () => {
    await enqueue("greet", { name: "Ada" }, "mail");
    await using worker = work("--json");
    await worker.said("hello Ada");
    worker.signal("SIGTERM");
    const { stdout } = await worker.ended;
    const figures = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as WorkerStats;
    expect(figures).toEqual({
      database,
      done: 1,
      failed: 0,
      abandoned: 0,
      snoozed: 0,
      released: 0,
      lost: 0,
      trips: expect.any(Number),
    });
  });

  it("takes several files, CommonJS too", async () => {
    await enqueue("shout", "hear me", "loud");
    await using worker = work(fixture("more-jobs.cjs"));
    await worker.said("HEAR ME");
    worker.signal("SIGTERM");
    expect((await worker.ended).code).toBe(0);
  });
});

describe("signals", () => {
  it("let a running job finish", async () => {
    await enqueue("patient");
    await using worker = work();
    await worker.said("patient started");
    worker.signal("SIGTERM");
    await worker.said("SIGTERM: stopping");
    worker.tell("go on");
    const { code, stderr } = await worker.ended;
    expect(stderr).toContain("stopped: 1 done");
    expect(code).toBe(0);
  });

  it("give a job back that is not finished after the grace", async () => {
    await enqueue("obedient");
    await using worker = work("--grace", "0");
    await worker.said("obedient started");
    worker.signal("SIGTERM");
    const { code, stderr } = await worker.ended;
    expect(stderr).toContain("1 given back");
    expect(code).toBe(0);
    expect((await status()).lanes).toMatchObject([{ kind: "obedient", pending: 1, failed: 0 }]);
  });

  it("told twice at once, as by npx, count once", async () => {
    await enqueue("patient");
    await using worker = work();
    await worker.said("patient started");
    worker.signal("SIGINT");
    worker.signal("SIGINT");
    await worker.said("SIGINT: stopping");
    worker.tell("go on");
    expect((await worker.ended).code).toBe(0);
  });

  it.each([
    { signal: "SIGINT", exit: 130 },
    { signal: "SIGTERM", exit: 143 },
  ] as const)("a second $signal ends it at once with $exit", async ({ signal, exit }) => {
    await enqueue("patient");
    await using worker = work();
    await worker.said("patient started");
    // An impatient user: again and again until it is gone.
    const again = setInterval(() => worker.signal(signal), 100);
    const { code, stderr } = await worker.ended.finally(() => clearInterval(again));
    expect(stderr).toContain(`${signal} again: exiting at once`);
    expect(code).toBe(exit);
  });
});

describe("options that cannot be used", () => {
  it.each([
    { args: ["--queue", "mail=many"], says: '--queue mail=many: the concurrency is "many"' },
    { args: ["--concurrency", "0"], says: "--concurrency is 0" },
    { args: ["--lease", "soon"], says: 'lease: "soon" is no duration' },
    { args: ["--grace", "soon"], says: '--grace: "soon" is no duration' },
  ])("$args", async ({ args, says }) => {
    const { code, stderr } = await work(...args).ended;
    expect(stderr).toContain(says);
    expect(code).toBe(2);
  });

  it("a database that cannot be opened ends it, whatever the job file keeps open", async () => {
    database = `sqlite:${folder.path("nowhere/jobs.db")}`;
    const { code, stderr } = await work().ended;
    expect(stderr).toContain("[QUDO_DATABASE_UNREACHABLE]");
    expect(code).toBe(1);
  });
});

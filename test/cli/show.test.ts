import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Qudo, type AttemptInfo, type JobInfo, type JobLogLine } from "../../src/index.js";
import {
  Cli,
  fixture,
  newFolder,
  rawSql,
  run,
  runInTerminal,
  runJson,
  TERMINALS,
} from "./support/cli.js";
import { zoo } from "./support/jobs.js";

let folder: ReturnType<typeof newFolder>;
let database: string;

beforeEach(() => {
  folder = newFolder();
  database = `sqlite:${folder.path("jobs.db")}`;
});
afterEach(() => folder.remove());

interface Shown {
  job: JobInfo;
  worker: { name: string } | null;
  attempts: AttemptInfo[];
  log: JobLogLine[];
  logLines: number;
}

const show = (...args: string[]) => run(["show", "--database", database, ...args]);
const shown = async (...args: string[]): Promise<Shown> =>
  (await runJson<Shown>(["show", "--database", database, ...args])).json;

describe("show", () => {
  it("tells all about a job that failed", async () => {
    const { failed } = await zoo(database);
    const { code, stdout, stderr } = await show(failed);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const line of [
      /^job +[-0-9a-f]{36}$/m,
      /^kind +mail\.send$/m,
      /^state +failed, next try in \d+ min$/m,
      /^tries +1 of 3 failed$/m,
      /^enqueued +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d {2}(now|\d+ (s|min) ago)$/m,
      /^due +.* in \d+ min$/m,
      /^payload\n {2}\{\n {4}"fails": true\n {2}\}$/m,
      /^last error\n {2}Error: refused 报告 .*\n {2}second line\n {6}at /m,
      /^runs\n {2}run +came to +when +took +error\n +1 +failed .* Error: refused/m,
      /^log\n {2}run 1, \d{4}-\d\d-\d\d\n {2}\d\d:\d\d:\d\d\.\d{3} {2}connecting\n {2}\S+ {2}warn: the server/m,
    ])
      expect(stdout).toMatch(line);
  });

  it("tells how each kind of end came about", async () => {
    const ids = await zoo(database);
    expect((await show(ids.done)).stdout).toMatch(
      /^state +done$[^]*^result\n {2}\{\n {4}"accepted": 1/m,
    );
    const abandoned = (await show(ids.abandoned)).stdout;
    expect(abandoned).toMatch(/^state +abandoned: its handler gave it up$/m);
    expect(abandoned).toContain("there is no such mailbox");
    expect((await show(ids.cancelled)).stdout).toMatch(/^state +cancelled$/m);
    expect((await show(ids.delayed)).stdout).toMatch(/^state +pending, runs in 2 h$/m);
    expect((await show(ids.pending)).stdout).toMatch(/^state +pending, due$/m);
  });

  it("shows who holds it and how far it is", async () => {
    await using worker = new Cli([
      "work",
      "--database",
      database,
      "--jobs",
      fixture("jobs.mjs"),
      "--name",
      "web-1",
    ]);
    await using qudo = new Qudo({ databases: database });
    const { stdout } = await run(["enqueue", "halfway", "--database", database]);
    await worker.said("halfway there");
    const id = stdout.trim();
    while ((await qudo.jobs.get(id))?.progress == null) await new Promise((r) => setTimeout(r, 20));
    const text = (await show(id)).stdout;
    expect(text).toMatch(/^state +running for \d+ s$/m);
    expect(text).toMatch(/^held by +web-1 \(host \S+, pid \d+\), last heartbeat /m);
    expect(text).toMatch(/^progress +\{"done":1,"of":2\}$/m);
    expect(await shown(id)).toMatchObject({ worker: { name: "web-1" }, job: { state: "running" } });
  });

  it("--json has all of it, and the log as long as asked for", async () => {
    const { failed } = await zoo(database);
    const all = await shown(failed);
    expect(all).toMatchObject({
      job: { id: failed, state: "failed", payload: { fails: true } },
      worker: null,
      attempts: [{ run: 1, state: "failed" }],
      log: [
        { run: 1, seq: 1, text: "connecting" },
        { seq: 2, level: "warn" },
      ],
      logLines: 2,
    });
    expect((await shown(failed, "--log", "1")).log).toMatchObject([{ seq: 2 }]);
    expect((await show(failed, "--log", "1")).stdout).toContain(
      "… 1 earlier line (--log 2 has all)",
    );
    expect((await show(failed, "--log", "0")).stdout).toContain(
      "… 2 earlier lines (--log 2 has all)",
    );
  });

  it("of a job that is not there fails, of what is no id is wrong usage", async () => {
    await zoo(database);
    const absent = await show("01a2056e-0fcc-7000-b73f-72fe5e0a14cb");
    expect(absent).toMatchObject({ code: 1, stdout: "" });
    expect(absent.stderr).toContain("[QUDO_JOB_ABSENT]");
    expect(await show("17")).toMatchObject({ code: 2, stdout: "" });
    expect(await show()).toMatchObject({ code: 2, stdout: "" });
  });
});

/** What shows jobs. */
const everything = (id: string): string[][] => [
  ["list"],
  ["list", "--json"],
  ["show", id],
  ["show", id, "--json"],
  ["retry", "--all", "--dry-run", "--json"],
  ["cancel", "--all", "--dry-run"],
  ["cancel", "--all", "--dry-run", "--json"],
  ["status", "--json"],
  ["doctor"],
];

describe("secrets of a payload", () => {
  const [key, card] = ["hunter2-secret", "4242-4242-4242"];
  const payload = JSON.stringify({ apiKey: key, card: { number: card, name: "Ada" } });
  async function leaked(): Promise<string> {
    const args = ["enqueue", "leak", payload, "--unique-key", `key ${key}`];
    const { stdout } = await run([...args, "--jobs", fixture("jobs.mjs"), "--database", database]);
    await using worker = new Cli(["work", "--database", database, "--jobs", fixture("jobs.mjs")]);
    await using qudo = new Qudo({ databases: database });
    while ((await qudo.jobs.get(stdout.trim()))?.state !== "failed")
      await new Promise((r) => setTimeout(r, 20));
    worker.signal("SIGTERM");
    await worker.ended;
    return stdout.trim();
  }

  it("stand in no output, text or JSON, terminal or pipe, unless they are asked for", async () => {
    const id = await leaked();
    for (const args of everything(id)) {
      const { stdout, stderr } = await run([...args, "--database", database]);
      expect(`${stdout}${stderr}`, args.join(" ")).not.toMatch(/hunter2|4242/);
    }
    if (TERMINALS)
      for (const args of [["list"], ["show", id]])
        expect(await runInTerminal([...args, "--database", database], 80)).not.toMatch(
          /hunter2|4242/,
        );
    const { job, attempts, log } = await shown(id);
    expect(job.payload).toEqual({
      apiKey: "[redacted]",
      card: { number: "[redacted]", name: "Ada" },
    });
    expect(job.uniqueKey).toBe("key [redacted]");
    expect(attempts[0]?.error).toContain("no entry with [redacted] and [redacted]");
    expect(log[0]?.text).toBe("trying [redacted] for [redacted]");
  });

  it("are hidden also where an older worker wrote them into errors and logs", async () => {
    const id = await leaked();
    const path = folder.path("jobs.db");
    await rawSql(path, `update qudo_outcome set error = 'Error: ${key} and ${card}'`);
    await rawSql(path, `update qudo_job_log set line = 'trying ${key}'`);
    for (const args of everything(id))
      expect((await run([...args, "--database", database])).stdout, args.join(" ")).not.toMatch(
        /hunter2|4242/,
      );
    expect((await show(id, "--reveal")).stdout).toContain(`trying ${key}`);
    await run(["cancel", id, "--database", database]);
    await rawSql(path, `update qudo_outcome set error = 'Error: ${key} and ${card}'`);
    const again = ["enqueue", "leak", payload, "--id", id, "--wait", "--jobs", fixture("jobs.mjs")];
    const { code, stderr } = await run([...again, "--database", database]);
    expect(stderr).toContain("was cancelled: Error: [redacted] and [redacted]");
    expect(code).toBe(1);
  });

  it("--reveal shows the payload as it is", async () => {
    const id = await leaked();
    expect((await shown(id, "--reveal")).job.payload).toEqual(JSON.parse(payload));
    expect((await show(id, "--reveal")).stdout).toContain(key);
  });
});

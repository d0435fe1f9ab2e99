/** pause, resume, prune and backup; and what all commands on existing databases leave alone. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Qudo } from "../../src/index.js";
import { Cli, fixture, newFolder, rawSql, run, runJson } from "./support/cli.js";
import { zoo } from "./support/jobs.js";

let folder: ReturnType<typeof newFolder>;
let path: string;
let database: string;

beforeEach(() => {
  folder = newFolder();
  path = folder.path("jobs.db");
  database = `sqlite:${path}`;
});
afterEach(() => folder.remove());

const cli = (...args: string[]) => run([...args, "--database", database]);

async function says(line: string, ...args: string[]): Promise<void> {
  expect(await cli(...args)).toEqual({ code: 0, stdout: `${line}\n`, stderr: "" });
}

describe("pause and resume", () => {
  it("stop and start a queue, or a kind in it, and status shows it", async () => {
    await zoo(database);
    await says("mail: paused", "pause", "mail");
    await says("mail: was paused already", "pause", "mail");
    expect((await cli("status")).stdout.match(/^mail .* paused$/gm)).toHaveLength(2);
    await says("mail: resumed", "resume", "mail");
    await says("mail: was not paused", "resume", "mail");
    await says("mail, kind mail.gone: paused", "pause", "mail", "--kind", "mail.gone");
    expect((await cli("status")).stdout).toMatch(/^mail +mail\.gone .* paused$/m);
    expect((await cli("status")).stdout).not.toMatch(/^mail +mail\.send .* paused$/m);
    const args = ["resume", "mail", "--kind", "mail.gone", "--database", database];
    const json = { queue: "mail", kind: "mail.gone", paused: false, changed: true };
    expect(await runJson(args)).toEqual({ code: 0, json });
  });

  it("say which kinds are still paused by themselves", async () => {
    await zoo(database);
    await cli("pause", "mail");
    await cli("pause", "mail", "--kind", "mail.gone");
    expect((await cli("resume", "mail")).stderr).toBe("still paused: mail.gone\n");
    expect((await cli("resume", "mail", "--kind", "mail.gone")).stderr).toBe("");
  });

  it("are obeyed by a worker that is at work", async () => {
    await using worker = new Cli(["work", "--database", database, "--jobs", fixture("jobs.mjs")]);
    await worker.said("working on");
    await cli("pause", "mail");
    await cli("enqueue", "greet", '{"name":"Ada"}', "--queue", "mail");
    await cli("enqueue", "fail", "--queue", "default");
    await worker.said("failing");
    expect((await cli("status")).stdout).toMatch(/^mail +greet +1 /m);
    await cli("resume", "mail");
    await worker.said("hello Ada");
  });

  it("say so when no job is meant", async () => {
    await zoo(database);
    expect(await cli("pause", "mial")).toEqual({
      code: 0,
      stdout: "mial: paused\n",
      stderr: "no job is there so far: check the name with qudo status\n",
    });
    expect(await cli("pause", "")).toMatchObject({ code: 2, stdout: "" });
  });
});

/** As if all had happened so long ago. */
const age = (ms: number) =>
  rawSql(
    path,
    `update qudo_outcome set ended_at = ended_at - ${ms}, started_at = started_at - ${ms};
     update qudo_job set created_at = created_at - ${ms}, run_at = run_at - ${ms} where id in (select job_id from qudo_outcome)`,
  );

describe("prune", () => {
  it("deletes what was kept long enough, by the times given", async () => {
    const ids = await zoo(database);
    await age(2 * 3_600_000);
    await says("would delete 0 jobs and 0 rows of figures", "prune", "--dry-run");
    await says("would delete 1 job and 0 rows of figures", "prune", "--done", "1h", "--dry-run");
    await says("deleted 1 job and 0 rows of figures", "prune", "--done", "3600");
    expect((await cli("show", ids.done)).code).toBe(1);
    const { code, json } = await runJson([
      "prune",
      "--other",
      "1h",
      "--compact",
      "--database",
      database,
    ]);
    expect({ code, json }).toEqual({
      code: 0,
      json: {
        dryRun: false,
        jobs: 2,
        counts: 0,
        compacted: { bytesBefore: expect.any(Number), bytesAfter: statSync(path).size },
      },
    });
    await using qudo = new Qudo({ databases: database });
    expect((await qudo.jobs.page()).jobs.map(({ id }) => id).toSorted()).toEqual(
      [ids.failed, ids.pending, ids.delayed].toSorted(),
    );
    expect((await cli("doctor")).code).toBe(0);
  });

  it("says how much smaller the file is", async () => {
    await zoo(database);
    const { stdout } = await cli("prune", "--compact");
    expect(stdout).toMatch(/^deleted .*\ncompacted from \d+ kB to \d+ kB\n$/);
  });

  it.each([
    { args: ["--done", "soon"], says: '--done: "soon" is no duration' },
    { args: ["--other", "-1"], says: '--other: "-1" is no duration' },
    { args: ["--dry-run", "--compact"], says: "--compact: it cannot be tried out" },
  ])("refuses $args", async ({ args, says: text }) => {
    await zoo(database);
    const { code, stdout, stderr } = await cli("prune", ...args);
    expect(stderr).toContain(text);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});

describe("backup", () => {
  it("makes a copy that is sound and holds the same, and tells its size", async () => {
    const ids = await zoo(database);
    const copy = folder.path("copy.db");
    const { code, stdout, stderr } = await cli("backup", copy);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/copy\.db: \d+ kB in [\d.]+ m?s\n$/);
    expect((await run(["doctor", "--database", `sqlite:${copy}`])).code).toBe(0);
    const there = await run(["show", ids.done, "--database", `sqlite:${copy}`]);
    expect(there.stdout).toContain('"accepted": 1');
    const other = folder.path("other.db");
    const { json } = await runJson(["backup", other, "--database", database]);
    expect(json).toEqual({ path: other, bytes: statSync(other).size, ms: expect.any(Number) });
  });

  it("overwrites nothing", async () => {
    await zoo(database);
    const copy = folder.path("copy.db");
    writeFileSync(copy, "precious");
    const { code, stdout, stderr } = await cli("backup", copy);
    expect(stderr).toContain("[QUDO_BACKUP_EXISTS]");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(readFileSync(copy, "utf8")).toBe("precious");
    expect(await cli("backup", folder.path("nowhere/copy.db"))).toMatchObject({
      code: 1,
      stdout: "",
    });
  });
});

const ID = "01a2056e-0fcc-7000-b73f-72fe5e0a14cb";

describe.each([
  ["list"],
  ["show", ID],
  ["retry", ID],
  ["retry", "--all"],
  ["cancel", ID],
  ["cancel", "--all"],
  ["retry", "--as-new", ID],
  ["reschedule", ID, "--delay", "1h"],
  ["purge", "mail"],
  ["workers"],
  ["workers", "reset", "web-1"],
  ["pause", "mail"],
  ["resume", "mail"],
  ["prune"],
  ["backup", "copy.db"],
])("%s %s", (...args: string[]) => {
  it("makes no database that is not there", async () => {
    const { code, stdout, stderr } = await cli(...args);
    expect(stderr).toContain("[QUDO_DATABASE_UNREACHABLE]");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(readdirSync(dirname(path))).toEqual([]);
  });

  it("makes no tables in another program's", async () => {
    await rawSql(path, "create table t (a)");
    const before = readFileSync(path);
    const { code, json } = await runJson<object>([...args, "--database", database]);
    expect(json).toMatchObject({ error: { code: "QUDO_SCHEMA_MISSING" } });
    expect(code).toBe(1);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(existsSync("copy.db")).toBe(false);
  });
});

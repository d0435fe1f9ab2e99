/** retry and cancel: by ids, by filter, tried out. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defineJob, Qudo, type JobState } from "../../src/index.js";
import { Cli, fixture, newFolder, run, runJson, type Surroundings } from "./support/cli.js";
import { zoo } from "./support/jobs.js";

let folder: ReturnType<typeof newFolder>;
let database: string;

beforeEach(() => {
  folder = newFolder();
  database = `sqlite:${folder.path("jobs.db")}`;
});
afterEach(() => folder.remove());

const ABSENT = "01a2056e-0fcc-7000-b73f-72fe5e0a14cb";

const act = (command: string, args: readonly string[], surroundings?: Surroundings) =>
  run([command, "--database", database, ...args], surroundings);

async function state(id: string): Promise<JobState | undefined> {
  await using qudo = new Qudo({ databases: database });
  return (await qudo.jobs.get(id))?.state;
}

describe("by ids", () => {
  it("cancels those it can, says why not the others, and then fails", async () => {
    const ids = await zoo(database);
    const args = [ids.pending, ids.failed.toUpperCase(), ids.done, ABSENT];
    const { code, stdout, stderr } = await act("cancel", args);
    expect(stdout).toBe("2 jobs cancelled, 2 not\n");
    expect(stderr).toBe(`${ids.done}: it has ended already\n${ABSENT}: there is no such job\n`);
    expect(code).toBe(1);
    expect([await state(ids.pending), await state(ids.failed)]).toEqual(["cancelled", "cancelled"]);
    expect(await act("retry", [ids.pending])).toEqual({
      code: 0,
      stdout: "1 job retried\n",
      stderr: "",
    });
    expect(await state(ids.pending)).toBe("pending");
  });

  it("retries, and says of each refusal why", async () => {
    const ids = await zoo(database);
    const all = [ids.abandoned, ids.cancelled, ids.done, ids.failed, ids.delayed];
    const { code, stdout, stderr } = await act("retry", ["-"], { input: all.join(" \n\n") });
    expect(stdout).toBe("2 jobs retried, 3 not\n");
    expect(stderr.split("\n")).toEqual([
      `${ids.done}: it ended well`,
      `${ids.failed}: it is failed, and runs by itself`,
      `${ids.delayed}: it is pending, and runs by itself`,
      "",
    ]);
    expect(code).toBe(1);
  });

  it("names the job that has the unique key", async () => {
    const keyed = defineJob("keyed", { run: () => undefined });
    await using qudo = new Qudo({ databases: database });
    const first = await qudo.enqueue(keyed, 1, { uniqueKey: "k" });
    await qudo.jobs.cancel(first.id);
    const second = await qudo.enqueue(keyed, 2, { uniqueKey: "k" });
    const { code, stderr } = await act("retry", [first.id]);
    expect(stderr).toBe(`${first.id}: the job ${second.id} has its unique key\n`);
    expect(code).toBe(1);
    const all = await act("retry", ["--all"]);
    expect(all.stdout).toBe(
      "0 jobs retried\n1 job not: another unfinished job has the unique key\n",
    );
    expect(all.code).toBe(1);
  });

  it("--json tells each one's fate", async () => {
    const ids = await zoo(database);
    const args = ["cancel", ids.pending, ABSENT, "--database", database];
    const jobs = [
      { id: ids.pending, refused: null },
      { id: ABSENT, refused: "there is no such job" },
    ];
    const wanted = { matched: 2, changed: 1, jobs };
    expect(await runJson([...args, "--dry-run"])).toEqual({
      code: 1,
      json: { dryRun: true, ...wanted },
    });
    expect(await state(ids.pending)).toBe("pending");
    expect(await runJson(args)).toEqual({ code: 1, json: { dryRun: false, ...wanted } });
  });

  it("does nothing to the first when the last is no id", async () => {
    const { pending } = await zoo(database);
    const { code, stdout, stderr } = await act("cancel", [pending, "-"], { input: "one two" });
    expect(stderr).toContain('"one" is no job id');
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(await state(pending)).toBe("pending");
  });

  it("tells a running job to stop", async () => {
    await using worker = new Cli(["work", "--database", database, "--jobs", fixture("jobs.mjs")]);
    const { stdout } = await act("enqueue", ["halfway"]);
    await worker.said("halfway there");
    expect(await act("cancel", ["--state", "running,reserved"])).toMatchObject({
      code: 0,
      stdout: "1 job cancelled\n",
    });
    expect(await state(stdout.trim())).toBe("cancelled");
  });
});

describe("by filter", () => {
  it("tries it out first: how many, and the first of them, and nothing is done", async () => {
    await zoo(database);
    const { code, stdout, stderr } = await act("cancel", ["--kind", "报告.生成😀", "--dry-run"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^id +kind/);
    expect(lines.slice(3)).toEqual(["", "2 jobs would be cancelled", ""]);
    expect((await act("cancel", ["--kind", "报告.生成😀"])).stdout).toBe("2 jobs cancelled\n");
  });

  it("shows five of many", async () => {
    const input = "1\n".repeat(12);
    await act("enqueue", ["greet", "--lines"], { input });
    const { stdout } = await act("cancel", ["--all", "--dry-run"]);
    expect(stdout.split("\n")).toHaveLength(6 + 3);
    expect(stdout).toContain("12 jobs would be cancelled (the first 5 are shown)");
    const { json } = await runJson(["cancel", "--all", "--dry-run", "--database", database]);
    expect(json).toMatchObject({ dryRun: true, matched: 12, changed: 0, first: { length: 5 } });
    expect(await runJson(["cancel", "--all", "--database", database])).toEqual({
      code: 0,
      json: { dryRun: false, matched: 12, changed: 12, refused: {} },
    });
  });

  it("means all that the action can be done to, or the states named", async () => {
    const ids = await zoo(database);
    expect((await act("retry", ["--state", "cancelled"])).stdout).toBe("1 job retried\n");
    expect((await act("retry", ["--all"])).stdout).toBe("1 job retried\n");
    expect(await state(ids.abandoned)).toBe("pending");
    expect((await act("cancel", ["--queue", "mail", "--since", "1h"])).stdout).toBe(
      "2 jobs cancelled\n",
    );
    expect((await act("cancel", ["--since", "2099-01-01"])).stdout).toBe("0 jobs cancelled\n");
  });

  it.each([
    {
      args: ["cancel"],
      says: "Which jobs? Give their ids, or options such as --queue mail; --all",
    },
    { args: ["cancel", "--dry-run"], says: "Which jobs?" },
    {
      args: ["cancel", ABSENT, "--queue", "mail"],
      says: "--queue: give ids or say which jobs by options",
    },
    { args: ["cancel", ABSENT, "--all"], says: "--all: give ids or" },
    {
      args: ["retry", "--state", "failed"],
      says: '"failed" jobs cannot be retried: such a job is failed, and runs by itself',
    },
    { args: ["retry", "--state", "faild"], says: 'There is no job state "faild"' },
    {
      args: ["cancel", "--state", "done"],
      says: '"done" jobs cannot be cancelled: such a job has ended already',
    },
    { args: ["cancel", "--until", "later"], says: '--until: "later" is neither' },
  ])("refuses $args", async ({ args: [command, ...args], says }) => {
    const { pending } = await zoo(database);
    const { code, stdout, stderr } = await act(command!, args);
    expect(stderr).toContain(says);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(await state(pending)).toBe("pending");
  });
});

/** reschedule, purge, workers, retry --as-new. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Qudo, type JobInfo } from "../../src/index.js";
import { Cli, fixture, newFolder, run, runJson } from "./support/cli.js";
import { zoo } from "./support/jobs.js";

let folder: ReturnType<typeof newFolder>;
let database: string;

beforeEach(() => {
  folder = newFolder();
  database = `sqlite:${folder.path("jobs.db")}`;
});
afterEach(() => folder.remove());

const ABSENT = "01a2056e-0fcc-7000-b73f-72fe5e0a14cb";

const cli = (...args: string[]) => run([...args, "--database", database]);
const json = <T>(...args: string[]) => runJson<T>([...args, "--database", database]);

async function job(id: string): Promise<JobInfo | null> {
  await using qudo = new Qudo({ databases: database });
  return await qudo.jobs.get(id);
}

describe("reschedule", () => {
  it("moves a job that waits", async () => {
    const { delayed } = await zoo(database);
    const moved = { code: 0, stdout: "rescheduled\n", stderr: "" };
    expect(await cli("reschedule", delayed, "--at", "2099-12-24T00:00:00Z")).toEqual(moved);
    expect((await job(delayed))!.runAt).toEqual(new Date("2099-12-24T00:00:00Z"));
    const { code, json: told } = await json("reschedule", delayed, "--delay", "0", "--priority=-3");
    expect({ code, told }).toEqual({ code: 0, told: { id: delayed, status: "rescheduled" } });
    expect((await job(delayed))!.priority).toBe(-3);
  });

  it("refuses one that does not wait, and says its state", async () => {
    const { done } = await zoo(database);
    expect(await cli("reschedule", done, "--delay", "5m")).toEqual({
      code: 1,
      stdout: "",
      stderr: "it does not wait: it is done\n",
    });
    expect(await cli("reschedule", ABSENT, "--delay", "5m")).toMatchObject({
      code: 1,
      stderr: "there is no such job\n",
    });
  });

  it("wants to know where to", async () => {
    const { delayed } = await zoo(database);
    for (const args of [[], ["--delay", "1h", "--at", "2099-01-01"], ["--priority", "high"]])
      expect(await cli("reschedule", delayed, ...args)).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("purge", () => {
  it("empties a queue", async () => {
    const { pending, failed } = await zoo(database);
    expect(await cli("purge", "default", "--dry-run")).toMatchObject({
      code: 0,
      stdout: "2 jobs would be ended\n",
    });
    expect((await job(pending))!.state).toBe("pending");
    expect(await cli("purge", "default")).toEqual({
      code: 0,
      stdout: "2 jobs cancelled, 0 running jobs abandoned\n",
      stderr: "",
    });
    expect((await job(pending))!.state).toBe("cancelled");
    expect((await job(failed))!.state).toBe("failed");
    const { json: told } = await json("purge", "mail", "--kind", "mail.send");
    expect(told).toEqual({
      queue: "mail",
      kind: "mail.send",
      dryRun: false,
      matched: 1,
      cancelled: 1,
      abandoned: 0,
    });
  });

  it("wants a queue", async () => {
    expect(await cli("purge")).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("workers", () => {
  it("shows them, takes everything from one, and says when there is none", async () => {
    await zoo(database);
    expect(await cli("workers")).toEqual({ code: 0, stdout: "No workers.\n", stderr: "" });
    await using worker = new Cli([
      "work",
      "--database",
      database,
      "--jobs",
      fixture("jobs.mjs"),
      "--name",
      "web-7",
    ]);
    await worker.said("working on");
    const { json: told } = await json<{ workers: { id: string; name: string }[] }>("workers");
    const [{ id, name } = { id: "", name: "" }] = told.workers;
    expect(name).toBe("web-7");
    expect((await cli("workers", "list")).stdout).toContain(id);
    expect(await cli("workers", "reset", "web-7")).toEqual({
      code: 0,
      stdout: "0 jobs given back\n",
      stderr: "",
    });
    expect(await cli("workers", "cancel", id)).toEqual({
      code: 1,
      stdout: "",
      stderr: "there is no such worker: qudo workers shows them\n",
    });
  });

  it("wants to know what, and whom", async () => {
    for (const args of [["end", "web-7"], ["reset"], ["list", "web-7"]])
      expect(await cli("workers", ...args)).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("retry --as-new", () => {
  it("makes a new job of the last failed run, once", async () => {
    const { abandoned, done } = await zoo(database);
    const { code, stdout, stderr } = await cli("retry", "--as-new", abandoned, done);
    const [, made] = /^(?:[0-9a-f-]+): ([0-9a-f-]+)\n1 job enqueued as new, 1 not\n$/.exec(stdout)!;
    expect(stderr).toBe(`${done}: it ended well\n`);
    expect(code).toBe(1);
    expect(await job(made!)).toMatchObject({
      state: "pending",
      origin: { job: abandoned, run: 1 },
    });
    expect((await job(abandoned))!.state).toBe("abandoned");
    expect((await cli("show", abandoned)).stdout).toContain(made);
    expect((await cli("show", made!)).stdout).toContain(`run 1 of ${abandoned}`);
    expect(await cli("retry", "--as-new", abandoned)).toEqual({
      code: 1,
      stdout: "0 jobs enqueued as new, 1 not\n",
      stderr: `${abandoned}: a job was made of it before: ${made}\n`,
    });
  });

  it("by filter: the failed and the abandoned, and those that were made before are left alone", async () => {
    await zoo(database);
    const { stdout } = await cli("retry", "--as-new", "--queue", "mail", "--dry-run");
    expect(stdout).toContain("2 jobs would be enqueued as new");
    expect((await cli("retry", "--as-new", "--queue", "mail")).stdout).toBe(
      "2 jobs enqueued as new\n",
    );
    expect((await cli("retry", "--as-new", "--queue", "mail")).stdout).toBe(
      "0 jobs enqueued as new\n2 jobs not: a job was made of its last failed run before\n",
    );
  });
});

/** The command on several databases: how they are named, what is shown where one is out, and what is written into them. */
import { copyFileSync, existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Qudo } from "../../src/index.js";
import { Cli, fixture, newFolder, run, runJson, type Surroundings } from "./support/cli.js";

let folder: ReturnType<typeof newFolder>;
/** "--database a=… --database b=…" */
let both: string[];

const url = (name: string): string => `sqlite:${folder.path(`${name}.db`)}`;
const of = (...names: string[]): string[] =>
  names.flatMap((name) => ["--database", `${name}=${url(name)}`]);
const cli = (args: readonly string[], more?: Surroundings) => run([...args, ...both], more);

beforeEach(() => {
  folder = newFolder();
  both = of("a", "b");
});
afterEach(() => folder.remove());

async function made(): Promise<void> {
  expect(await cli(["migrate"])).toMatchObject({ code: 0, stderr: "" });
}

const pending = async (name: string): Promise<number> => {
  await using qudo = new Qudo({ databases: url(name) });
  return (await qudo.monitor.counts()).reduce((sum, lane) => sum + lane.pending, 0);
};

describe("several databases", () => {
  it("are given by several options, or by one variable, whose addresses may hold white space", async () => {
    await made();
    const spaced = newFolder();
    const other = `sqlite:${spaced.path("my jobs.db")}`;
    const env = { QUDO_DATABASE: `  a=${url("a")} \n c=${other} b=${url("b")} ` };
    expect(await run(["migrate"], { env })).toMatchObject({ code: 0, stderr: "" });
    const { json } = await runJson<{ databases: object[] }>(["database", "list"], { env });
    expect(json.databases).toMatchObject([
      { name: "a", label: url("a"), state: "healthy", mode: "active", reason: null },
      { name: "c", label: other },
      { name: "b" },
    ]);
    spaced.remove();
  });

  it("may be a list of one; without names there is one only", async () => {
    expect(await run(["migrate", ...of("a")])).toMatchObject({ code: 0 });
    expect((await run(["status", ...of("a")])).stdout).toContain("1 database, schema");
    expect((await run(["status", "--database", url("a")])).stdout).toContain(`${url("a")}, schema`);
  });

  it.each([
    [["--database", "sqlite:a.db", "--database", "b=sqlite:b.db"], "number 1 has none"],
    [["--database", "a=sqlite:a.db", "--database", "postgres://u:secret@h/d"], "number 2 has none"],
    [["--database", "a=sqlite:a.db", "--database", "a=sqlite:b.db"], "the name a"],
    [["--database", "A=sqlite:a.db"], 'name is "A"'],
    [["--database", "a=redis://u:secret@h"], "databases[0] (a): "],
  ])("are wrong usage: %j", async (args, says) => {
    const { code, stdout, stderr } = await run(["status", ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(says);
    expect(stderr).not.toContain("secret");
  });

  it("are migrated and named each by itself; one that cannot be had is told, and the others are done", async () => {
    const args = ["migrate", ...of("a"), "--database", "b=sqlite:/nowhere/b.db", ...of("c")];
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(1);
    expect(stdout.match(/tables created/g)).toHaveLength(2);
    expect(stderr).toMatch(/^b: The database file \/nowhere\/b\.db cannot be opened/);
    const json = JSON.parse((await run([...args, "--json"])).stdout) as { databases: object[] };
    expect(json.databases).toMatchObject([
      { name: "a", from: expect.any(Number) as number },
      { name: "b", error: { code: "QUDO_DATABASE_UNREACHABLE" } },
      { name: "c", from: expect.any(Number) as number },
    ]);
    // The names stand in them now.
    const swapped = ["--database", `a=${url("c")}`, "--database", `c=${url("a")}`];
    const status = await run(["status", ...swapped]);
    expect(status).toMatchObject({ code: 2, stdout: "" });
    expect(status.stderr).toContain("[QUDO_DATABASE_SWAPPED]");
  });

  it("take jobs, list and show them, whichever they are in", async () => {
    await made();
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) ids.push((await cli(["enqueue", "mail"])).stdout.trim());
    const shown = (await cli(["list"])).stdout;
    for (const id of ids) expect(shown).toContain(id);
    for (const id of ids) expect((await cli(["show", id])).stdout).toContain(id);
    expect((await cli(["cancel", ids[0]!])).stdout).toBe("1 job cancelled\n");
    expect((await cli(["cancel", "--all"])).stdout).toBe("5 jobs cancelled\n");
    expect((await cli(["prune", "--other", "1s"])).stdout).toMatch(/^deleted \d+ jobs/);
  });

  it("are worked on by one command", async () => {
    await made();
    for (const name of ["a", "b"]) {
      await using qudo = new Qudo({ databases: [{ name, url: url(name) }] });
      await using single = new Qudo({ databases: url(name) });
      await qudo.migrate();
      const jobs = ["--jobs", fixture("jobs.mjs")];
      await run(["enqueue", "greet", `{"name":"${name}"}`, ...jobs, "--database", url(name)]);
      expect(await single.schemaVersion()).not.toBeNull();
    }
    await using worker = new Cli(["work", "--jobs", fixture("jobs.mjs"), ...both]);
    await worker.said("hello a");
    await worker.said("hello b");
    worker.signal("SIGTERM");
    expect((await worker.ended).code).toBe(0);
  });
});

describe("where one of several is out", () => {
  beforeEach(async () => {
    await run(["migrate", ...of("a")]);
    await run(["enqueue", "mail", "--database", url("a")]);
  });

  it("status shows which and why, the figures of the others, and fails", async () => {
    const { code, stdout, stderr } = await cli(["status"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^a +healthy +active /m);
    expect(stdout).toMatch(/^b +out +active .*\n {2}The database file .*b\.db does not exist/m);
    expect(stdout).toMatch(/^default +mail +1 /m);
    expect(stderr).toMatch(/^warning: b could not be asked: .*\n$/);
    expect(existsSync(folder.path("b.db"))).toBe(false);
    const json = JSON.parse((await cli(["status", "--json"])).stdout) as Record<string, unknown>;
    expect(json).toMatchObject({
      databases: [
        { name: "a", state: "healthy" },
        { name: "b", state: "out" },
      ],
      lanes: [{ kind: "mail", pending: 1 }],
      unasked: [{ database: "b" }],
    });
  });

  it("list and pause do what they can, and fail; an id that is not found may be there", async () => {
    const list = await cli(["list"]);
    expect(list.code).toBe(1);
    expect(list.stdout).toContain("mail");
    expect(list.stderr).toContain("warning: b could not be asked");
    const id = /[0-9a-f-]{36}/.exec(list.stdout)![0];
    expect((await cli(["show", id])).stdout).toContain(id);
    const other = "01a2056e-0fcc-7000-b73f-72fe5e0a14cb";
    const show = await cli(["show", other]);
    expect(show).toMatchObject({ code: 1, stdout: "" });
    expect(show.stderr).toContain("[QUDO_INCOMPLETE]");
    const cancel = await cli(["cancel", other, id]);
    expect(cancel).toMatchObject({ code: 1, stdout: "1 job cancelled, 1 not\n" });
    expect(cancel.stderr).toContain("unless it is in what could not be asked: b");
    const pause = await cli(["pause", "default"]);
    expect(pause).toMatchObject({ code: 1, stdout: "default: paused\n" });
  });

  it("doctor checks the others", async () => {
    const { code, stdout } = await cli(["doctor"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^a: sqlite:.*, schema \d+\n\nok {2}it can be written/);
    expect(stdout).toMatch(/^b: sqlite:.*b\.db\n\n!! {2}The database file .* does not exist/m);
    const json = JSON.parse((await cli(["doctor", "--json"])).stdout) as { databases: object[] };
    expect(json.databases).toMatchObject([
      { name: "a", violations: [], error: null },
      { name: "b", schema: null, error: { code: "QUDO_DATABASE_UNREACHABLE" } },
    ]);
  });

  it("and where all are, that is all there is to show", async () => {
    const { code, stdout } = await run(["status", ...of("b", "c")]);
    expect(code).toBe(1);
    expect(stdout.match(/ out /g)).toHaveLength(2);
    const enqueued = await run(["enqueue", "mail", "--database", "b=sqlite:/nowhere/b.db"]);
    expect(enqueued).toMatchObject({ code: 1, stdout: "" });
    expect(enqueued.stderr).toContain("[QUDO_DATABASES_OUT]");
  });
});

describe("qudo database", () => {
  it("drains one, and takes it back", async () => {
    await made();
    const drained = await cli(["database", "drain", "b"]);
    expect(drained).toMatchObject({ code: 0, stderr: "" });
    expect(drained.stdout).toBe("b: drain: it gets no new jobs; those in it are worked off\n");
    for (let i = 0; i < 3; i++) await cli(["enqueue", "mail"]);
    expect([await pending("a"), await pending("b")]).toEqual([3, 0]);
    expect((await cli(["database", "list"])).stdout).toMatch(/^b +healthy +drain /m);
    expect(await runJson(["database", "off", "b", ...both])).toEqual({
      code: 0,
      json: { name: "b", mode: "off" },
    });
    expect((await cli(["status"])).stdout).toMatch(/^b +healthy +off /m);
    // By its address alone, which is all that its administrator may have.
    await run(["database", "active", "b", "--database", url("b")]);
    expect((await cli(["status"])).stdout).toMatch(/^b +healthy +active /m);
  });

  it("knows no others", async () => {
    await made();
    for (const args of [
      ["drain", "c"],
      ["drain", "a", "--database", url("b")],
    ]) {
      const rest = args.length > 2 ? args : [...args, ...both];
      const { code, stderr } = await run(["database", ...rest]);
      expect(code).toBe(2);
      expect(stderr).toContain("[QUDO_UNKNOWN_DATABASE]");
    }
  });

  it("gives another name, and a copy an identity of its own", async () => {
    await made();
    copyFileSync(folder.path("a.db"), folder.path("c.db"));
    expect((await run(["status", ...of("a", "c")])).stderr).toContain("[QUDO_DATABASE_TWICE]");
    const args = ["database", "rename", "c", "--database", url("c"), "--copy"];
    expect(await run(args)).toMatchObject({
      code: 0,
      stdout: `${url("c")}: is called c now, and is one of its own\n`,
    });
    expect(await run(["status", ...of("a", "c")])).toMatchObject({ code: 0, stderr: "" });
    await run(["database", "rename", "d", "--database", url("b")]);
    expect((await run(["status", ...of("b")])).stderr).toContain("[QUDO_DATABASE_SWAPPED]");
    expect(await run(["status", "--database", `d=${url("b")}`])).toMatchObject({ code: 0 });
  });

  it.each([
    [["list", "a"], "leave the name out"],
    [["drain"], "give the name"],
    [["stop", "a"], "give list, active, drain, off or rename"],
    [["drain", "a", "--copy"], "it belongs to rename"],
    [["rename", "c"], "the one database alone"],
  ])("is wrong usage: %j", async (args, says) => {
    const { code, stdout, stderr } = await cli(["database", ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(says);
  });

  it("of one database by itself says so", async () => {
    await run(["migrate", "--database", url("a")]);
    const { code, stdout } = await run(["database", "list", "--database", url("a")]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${url("a")} is used by itself: it is none of several databases.\n`,
    });
  });
});

import { existsSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Qudo, type JobInfo } from "../../src/index.js";
import { Cli, fixture, newFolder, run, runJson, type Surroundings } from "./support/cli.js";

let folder: ReturnType<typeof newFolder>;
let database: string;

beforeEach(() => {
  folder = newFolder();
  database = `sqlite:${folder.path("jobs.db")}`;
});
afterEach(() => folder.remove());

const JOBS = fixture("jobs.mjs");
const ID = "01a2056e-0fcc-7000-b73f-72fe5e0a14cb";

const enqueue = (args: readonly string[], surroundings?: Surroundings) =>
  run(["enqueue", "--database", database, ...args], surroundings);

async function jobs(): Promise<JobInfo[]> {
  await using qudo = new Qudo({ databases: database });
  return (await qudo.jobs.page()).jobs.toReversed();
}

const payloads = async () => (await jobs()).map(({ payload }) => payload).toReversed();

interface Added {
  jobs: { id: string; status: string; holder: string | null }[];
  result?: unknown;
  error?: { code: string; message: string };
}

describe("enqueue", () => {
  it("adds a job and prints its id; that the tables are new it says on stderr", async () => {
    const { code, stdout, stderr } = await enqueue(["greet", '{"name":"Ada"}']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: `${database}: tables created\n` });
    expect(await jobs()).toMatchObject([
      { id: stdout.trim(), kind: "greet", queue: "default", payload: { name: "Ada" } },
    ]);
    expect((await enqueue(["greet"])).stderr).toBe("");
  });

  it("takes every option", async () => {
    const options = `--queue mail --delay 1h --expires-at 2099-01-01T00:00Z --priority -5 --max-attempts 2
      --unique-key k --id ${ID} --keep 30`;
    expect((await enqueue(["greet", "null", ...options.split(/\s+/)])).stdout).toBe(`${ID}\n`);
    const [job] = await jobs();
    expect(job).toMatchObject({
      id: ID,
      queue: "mail",
      expiresAt: new Date("2099-01-01T00:00Z"),
      priority: -5,
      maxAttempts: 2,
      uniqueKey: "k",
    });
    expect(job!.runAt.getTime() - job!.createdAt.getTime()).toBe(3_600_000);
    await enqueue(["greet", "--run-at", "2098-01-01T00:00:00Z"]);
    expect((await jobs())[0]!.runAt).toEqual(new Date("2098-01-01T00:00Z"));
  });

  it("takes queue, attempts and schema from the definition", async () => {
    expect((await enqueue(["checked", '{"n":1}', "--jobs", JOBS])).code).toBe(0);
    expect(await jobs()).toMatchObject([{ queue: "strict", maxAttempts: 2 }]);
    const { code, stderr } = await enqueue(["--jobs", JOBS, "checked", '{"n":"one"}']);
    expect(stderr).toContain("n must be a number");
    expect(code).toBe(2);
    const unknown = await enqueue(["grete", "--jobs", JOBS]);
    expect(unknown.stderr).toMatch(/There is no kind "grete" in it. There are: .*greet/);
    expect(unknown.code).toBe(2);
    expect(await jobs()).toHaveLength(1);
  });

  it("adds nothing where the id is known or the key is taken, and says so", async () => {
    const first = (await enqueue(["greet", "--unique-key", "k"])).stdout;
    const again = await enqueue(["greet", "--unique-key", "k"]);
    expect(again).toMatchObject({ code: 0, stdout: first });
    expect(again.stderr).toContain("nothing added: this job has the unique key");
    const known = await enqueue(["greet", "--id", first.trim()]);
    expect(known).toMatchObject({ code: 0, stdout: first });
    expect(known.stderr).toContain("nothing added: there is a job with this id already");
    const args = ["enqueue", "greet", "--unique-key", "k", "--database", database];
    const { json } = await runJson<Added>(args);
    expect(json.jobs).toEqual([{ id: expect.any(String), status: "unique", holder: first.trim() }]);
    expect(await jobs()).toHaveLength(1);
  });
});

describe("stdin", () => {
  it("is one payload, over several lines", async () => {
    const { stdout, code } = await enqueue(["greet", "-"], { input: '{\n "name":\n "Ädä"\n}\n' });
    expect({ code, lines: stdout.split("\n").length }).toEqual({ code: 0, lines: 2 });
    expect(await payloads()).toEqual([{ name: "Ädä" }]);
  });

  it("is a payload for each line, with any line ends, empty ones left out", async () => {
    const input = '\uFEFF{"n":1}\r\n\n  \n[2]\n"a\u2028b"\nnull\n4';
    const { stdout, stderr } = await enqueue(["greet", "--lines"], { input });
    expect(stdout.trim().split("\n")).toHaveLength(5);
    expect(stderr).toContain("5 jobs added\n");
    expect(await payloads()).toEqual([{ n: 1 }, [2], "a\u2028b", null, 4]);
  });

  it("may have thousands of lines: ids come in their order, --json is one object", async () => {
    const input = Array.from({ length: 3_500 }, (_, i) => `{"n":${i}}\n`).join("");
    const args = ["enqueue", "greet", "-", "--lines", "--database", database];
    await run(["migrate", "--database", database]);
    const { stdout } = await run([...args, "--json"], { input });
    const { jobs: added } = JSON.parse(stdout) as Added;
    expect(added).toHaveLength(3_500);
    await using qudo = new Qudo({ databases: database });
    for (const i of [0, 999, 1_000, 3_499])
      expect((await qudo.jobs.get(added[i]!.id))?.payload).toEqual({ n: i });
  });

  it.each([
    ["no JSON", "{,}", [], "stdin, line 1500, column 2: a name in double quotes"],
    [
      "too large",
      JSON.stringify("x".repeat(1_048_576)),
      [],
      "stdin, line 1500: The payload is larger",
    ],
    ["a NUL", String.raw`"\u0000"`, [], "stdin, line 1500: payload: the text holds a NUL"],
    [
      "against the schema",
      '{"n":"x"}',
      ["--jobs", JOBS],
      "stdin, line 1500: The payload: payload.n: n must",
    ],
  ])("names a line with %s, and then adds nothing", async (_, bad, options, says) => {
    const lines = Array.from({ length: 2_000 }, (_line, i) => (i === 1_499 ? bad : '{"n":1}'));
    const input = lines.join("\n");
    const { code, stdout, stderr } = await enqueue(["checked", "--lines", ...options], { input });
    expect(stderr).toContain(says);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(existsSync(folder.path("jobs.db"))).toBe(false);
  });

  it("that is no UTF-8 is refused", async () => {
    const { code, stderr } = await enqueue(["greet", "-"], {
      input: Buffer.from([0x22, 0xff, 0x22]),
    });
    expect(stderr).toContain("stdin is not UTF-8");
    expect(code).toBe(2);
  });

  it("closing stdout early loses no job", async () => {
    const input = '{"n":1}\n'.repeat(5_000);
    await using cli = new Cli(["enqueue", "greet", "--lines", "--database", database], { input });
    cli.closeStdout();
    expect(await cli.ended).toMatchObject({ code: 0 });
    await using qudo = new Qudo({ databases: database });
    expect(await qudo.monitor.counts()).toMatchObject([{ pending: 5_000 }]);
  });
});

describe("waiting for the result", () => {
  it("prints it alone on stdout", async () => {
    await using worker = new Cli(["work", "--database", database, "--jobs", JOBS]);
    await worker.said("working on");
    const { code, stdout, stderr } = await enqueue(["add", "[1,2]", "--wait", "--timeout", "20s"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '{\n  "sum": 3\n}\n' });
    expect(stderr).toMatch(/^waiting for job [-0-9a-f]{36}$/m);
    const { json } = await runJson<Added>([
      "enqueue",
      "--database",
      database,
      "add",
      "[4]",
      "--wait",
    ]);
    expect(json).toMatchObject({ jobs: [{ status: "inserted" }], result: { sum: 4 } });
  });

  it("fails where the job failed, without its secrets, and still tells its id", async () => {
    await using worker = new Cli(["work", "--database", database, "--jobs", JOBS]);
    await worker.said("working on");
    const args = ["leak", '{"apiKey":"hunter2-secret"}', "--max-attempts", "1", "--wait"];
    const { code, stdout, stderr } = await enqueue(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/was abandoned \(attempts\): Error: no entry with \[redacted\]/);
    const { code: again, json } = await runJson<Added>([
      "enqueue",
      "--database",
      database,
      ...args,
    ]);
    expect(again).toBe(1);
    expect(json).toMatchObject({
      jobs: [{ id: expect.any(String) }],
      error: { code: "QUDO_JOB_FAILED" },
    });
    expect(`${stderr}${JSON.stringify(json)}`).not.toContain("hunter2");
  });

  it("ends when its time is over", async () => {
    const { code, stderr } = await enqueue(["greet", "--wait", "--timeout", "0.1"]);
    expect(stderr).toContain("[QUDO_RESULT_TIMEOUT]");
    expect(code).toBe(1);
    expect(await jobs()).toHaveLength(1);
  });
});

describe("what cannot be is refused before anything is written", () => {
  it.each([
    { args: ["greet", "{to:1}"], says: "PAYLOAD, column 2: a name in double quotes" },
    { args: ["greet", "hello"], says: "In a shell put JSON into single quotes" },
    { args: ["greet", '{"n":1e999}'], says: "payload.n: Infinity has no form in JSON" },
    { args: ["greet", "1", "2"], says: "too many arguments" },
    { args: ["gr\u001B[31m"], says: "without control characters" },
    { args: ["greet", "--delay", "soon"], says: '--delay: "soon" is no duration' },
    { args: ["greet", "--delay", "1s", "--run-at", "2099-01-01"], says: "not both" },
    { args: ["greet", "--run-at", "1h"], says: '--run-at: "1h" is no date' },
    { args: ["greet", "--priority", "high"], says: '--priority is "high"' },
    { args: ["greet", "--max-attempts", "0"], says: "is 0; give a whole number" },
    { args: ["greet", "--id", "7"], says: '"7" is no job id' },
    { args: ["greet", "--timeout", "1s"], says: "--timeout: it belongs to --wait" },
    { args: ["greet", "1", "--lines"], says: "the payloads come from stdin" },
    { args: ["greet", "--lines", "--id", ID], says: "--lines: --id is for one job only" },
    { args: ["greet", "--lines", "--wait"], says: "--lines: --wait is for one job only" },
  ])("$args", async ({ args, says }) => {
    const { code, stdout, stderr } = await enqueue(args, { input: "" });
    expect(stderr).toContain(says);
    expect(stderr).not.toContain("\u001B");
    expect(stderr).not.toMatch(/^\s+at /m);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(existsSync(folder.path("jobs.db"))).toBe(false);
  });

  it("a file that is no database stays as it is", async () => {
    writeFileSync(folder.path("jobs.db"), "not a database at all, but text that is long enough");
    const { code, stderr } = await enqueue(["greet"]);
    expect(stderr).toContain("[QUDO_DATABASE_UNREADABLE]");
    expect(code).toBe(1);
  });
});

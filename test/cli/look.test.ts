/** migrate, status and doctor: what they print, and what they leave alone. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defineJob, Qudo } from "../../src/index.js";
import { newFolder, rawSql, run, runJson } from "./support/cli.js";

let folder: ReturnType<typeof newFolder>;
let path: string;
let database: string;

beforeEach(() => {
  folder = newFolder();
  path = folder.path("jobs.db");
  database = `sqlite:${path}`;
});
afterEach(() => folder.remove());

const greet = defineJob("greet", { queue: "mail", run: () => undefined });

/** Three jobs: one due, one for later, one cancelled. Returns the first one's id. */
async function seed(): Promise<string> {
  await using qudo = new Qudo({ databases: database });
  const { id } = await qudo.enqueue(greet, "now");
  await qudo.enqueue(greet, "later", { delay: "1h" });
  const cancelled = await qudo.enqueue(greet, "never");
  await qudo.jobs.cancel(cancelled.id);
  return id;
}

describe("migrate", () => {
  it("creates the tables, and the second time says that they are there", async () => {
    expect(await run(["migrate", "--database", database])).toEqual({
      code: 0,
      stdout: `${database}: tables created, at version 3\n`,
      stderr: "",
    });
    const again = await run(["migrate", "--database", database]);
    expect(again.stdout).toBe(`${database}: already at version 3\n`);
  });

  it("--json gives the versions", async () => {
    const args = ["migrate", "--database", database];
    expect(await runJson(args)).toEqual({ code: 0, json: { database, from: null, to: 3 } });
    expect(await runJson(args)).toEqual({ code: 0, json: { database, from: 3, to: 3 } });
  });

  it("takes QUDO_DATABASE, and qudo.db here when there is none", async () => {
    await run(["migrate"], { env: { QUDO_DATABASE: database } });
    expect(existsSync(path)).toBe(true);
    await run(["migrate"], { cwd: dirname(path) });
    expect(existsSync(folder.path("qudo.db"))).toBe(true);
  });

  it("refuses tables of a newer qudo", async () => {
    await seed();
    await rawSql(path, "update qudo_meta set value = '99' where name = 'schema_version'");
    const { code, stderr } = await run(["migrate", "--database", database]);
    expect(code).toBe(1);
    expect(stderr).toContain("[QUDO_SCHEMA_TOO_NEW]");
  });
});

describe("status", () => {
  it("shows a line for each queue and kind", async () => {
    await seed();
    const { code, stdout, stderr } = await run(["status", "--database", database]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [heading, , titles, lane] = stdout.split("\n");
    expect(heading).toBe(`${database}, schema 3`);
    expect(titles?.split(/ +/)).toEqual(
      "queue kind pending failed delayed reserved running done abandoned cancelled".split(" "),
    );
    expect(lane?.split(/ +/)).toEqual("mail greet 2 0 1 0 0 0 0 1".split(" "));
    expect(stdout).toContain("No workers.");
  });

  it("marks a paused queue", async () => {
    await seed();
    await rawSql(path, "update qudo_lane set paused_at = 1");
    expect((await run(["status", "--database", database])).stdout).toMatch(/^mail .* paused$/m);
  });

  it("--json gives database, schema, lanes and workers", async () => {
    await seed();
    const lane = { queue: "mail", kind: "greet", paused: false, pending: 2, failed: 0, delayed: 1 };
    const rest = { reserved: 0, running: 0, done: 0, abandoned: 0, cancelled: 1 };
    const dueSince = expect.stringMatching(/^20\d\d-.*Z$/);
    expect(await runJson(["status", "--database", database])).toEqual({
      code: 0,
      json: { database, schema: 3, lanes: [{ ...lane, dueSince, ...rest }], workers: [] },
    });
  });

  it("has no colours where nobody sees them", async () => {
    await seed();
    expect((await run(["status", "--database", database])).stdout).not.toContain("\u001B");
  });
});

describe("doctor", () => {
  it("finds nothing in a sound database", async () => {
    await seed();
    const { code, stdout } = await run(["doctor", "--database", database]);
    expect(code).toBe(0);
    for (const id of ["I1", "I2", "I3", "I4", "I5", "I6"])
      expect(stdout).toMatch(new RegExp(`^ok +${id} `, "m"));
    expect(stdout).toContain("No violations.");
    const { json } = await runJson(["doctor", "--database", database]);
    expect(json).toEqual({ database, schema: 3, violations: [] });
  });

  it("lists what is broken, and exits with 1", async () => {
    const id = await seed();
    await rawSql(path, "delete from qudo_ready");
    const { code, stdout } = await run(["doctor", "--database", database]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^!! +I1 .*: 1 violation$/m);
    expect(stdout).toContain(`I1 job ${id} run 1: `);
    expect(stdout).toMatch(/^ok +I2 /m);
    expect(await runJson(["doctor", "--database", database])).toEqual({
      code: 1,
      json: {
        database,
        schema: 3,
        violations: [{ invariant: "I1", job: id, run: 1, detail: expect.any(String) }],
      },
    });
  });
});

/** One breach of each invariant: what was done to the file, and which job and run it is told of. */
const BREACHES = [
  ["I1", "delete from qudo_ready", "due", 1],
  ["I2", "update qudo_ready set run = 2", "due", 2],
  [
    "I3",
    `insert into qudo_outcome (job_id, run, state, lane, writer, ended_at, fails, crashes)
     select job_id, 2, 1, lane, writer, ended_at, 0, 0 from qudo_outcome`,
    "cancelled",
    2,
  ],
  [
    "I4",
    "insert into qudo_unique_key (hash, job_id) select x'07', id from qudo_ready",
    "due",
    null,
  ],
  ["I5", "delete from qudo_job where id in (select job_id from qudo_outcome)", "cancelled", 1],
  ["I6", "update qudo_outcome set started_at = ended_at + 5000", "cancelled", 1],
] as const;

describe("doctor reports each invariant by its id", () => {
  it.each(BREACHES)("%s", async (invariant, sql, which, run) => {
    const due = await seed();
    const job = which === "due" ? due : await cancelledJob();
    await rawSql(path, sql);
    const { code, json } = await runJson<object>(["doctor", "--database", database]);
    expect(code).toBe(1);
    const violations = [{ invariant, job, run, detail: expect.any(String) as string }];
    expect(json).toEqual({ database, schema: 3, violations });
  });
});

async function cancelledJob(): Promise<string> {
  await using qudo = new Qudo({ databases: database });
  for await (const { job } of qudo.attempts.list({ states: ["cancelled"] })) return job;
  throw new Error("nothing was cancelled");
}

describe.each(["status", "doctor"])("%s only looks", (command) => {
  const look = (): ReturnType<typeof run> => run([command, "--database", database]);

  it("makes no file that is not there", async () => {
    const { code, stderr } = await look();
    expect(code).toBe(1);
    expect(stderr).toContain(
      `does not exist. Check the path, or make it: qudo migrate --database ${database}`,
    );
    expect(stderr).toContain("[QUDO_DATABASE_UNREACHABLE]");
    expect(readdirSync(dirname(path))).toEqual([]);
  });

  it.each([
    { what: "an empty file", make: () => writeFileSync(path, "") },
    { what: "another program's database", make: () => rawSql(path, "create table t (a)") },
  ])("makes no tables in $what", async ({ make }) => {
    await make();
    const before = readFileSync(path);
    const { code, stderr } = await look();
    expect(code).toBe(1);
    expect(stderr).toContain("[QUDO_SCHEMA_MISSING]");
    expect(stderr).toContain(`Run: qudo migrate --database ${database}`);
    expect(readFileSync(path).equals(before)).toBe(true);
  });
});

describe.each(["migrate", "status", "doctor"])("%s and a corrupt file", (command) => {
  it("says so, exits with 1 and leaves it byte for byte", async () => {
    const bytes = Buffer.from(Array.from({ length: 8_192 }, (_, i) => (i * 7 + 1) % 251));
    writeFileSync(path, bytes);
    const { code, stderr } = await run([command, "--database", database]);
    expect(code).toBe(1);
    expect(stderr).toContain("is damaged or no SQLite database");
    expect(stderr).toContain("[QUDO_DATABASE_UNREADABLE]");
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(readdirSync(dirname(path))).toEqual(["jobs.db"]);
  });
});

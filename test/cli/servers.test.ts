/** The command on servers: an address in place of a file, also from the environment, and its password nowhere. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { has, mariadb, postgres } from "../servers/index.js";
import type { Fresh } from "../servers/postgres.js";
import { Cli, fixture, run, type Ended, type Surroundings } from "./support/cli.js";

const JOBS = fixture("jobs.mjs");

/** How a kind of server is had, and the variable that its own programs take a password from. */
const KINDS = [
  {
    kind: "postgres",
    variable: "PGPASSWORD",
    fresh: async () => (await postgres({ durable: false })).newDatabase(),
  },
  {
    kind: "mariadb",
    variable: "MYSQL_PWD",
    fresh: async () => (await mariadb({ durable: false })).newDatabase(),
  },
] as const;

for (const { kind, variable, fresh } of KINDS)
  describe.skipIf(!(await has(kind)))(`on ${kind}`, () => {
    let place: Fresh;
    let password: string;
    let label: string;

    beforeAll(async () => {
      place = await fresh();
      const url = new URL(place.url);
      ({ password } = url);
      expect(password.length).toBeGreaterThan(8);
      url.password = "";
      label = url.href;
    });

    afterAll(() => place.drop());

    function hidden<T extends Ended>(ended: T): T {
      expect(ended.stdout + ended.stderr).not.toContain(password);
      return ended;
    }

    /** With the address in the environment. */
    async function qudo(args: readonly string[], more: Surroundings = {}): Promise<Ended> {
      const env = { QUDO_DATABASE: place.url, ...more.env };
      return hidden(await run(args, { ...more, env }));
    }

    test("looking makes no tables; migrate does", async () => {
      const before = await qudo(["status"]);
      expect(before).toMatchObject({ code: 1, stdout: "" });
      expect(before.stderr).toContain(`${label} holds no qudo tables`);
      expect(before.stderr).toContain("[QUDO_SCHEMA_MISSING]");
      const first = await qudo(["migrate"]);
      expect(first).toMatchObject({ code: 0, stderr: "" });
      expect(first.stdout).toMatch(/: tables created, at version \d+\n$/);
      expect(first.stdout.startsWith(`${label}: `)).toBe(true);
      expect((await qudo(["migrate"])).stdout).toContain(": already at version");
    });

    test("migrate --print-grants prints roles as SQL, and changes nothing", async () => {
      const before = (await qudo(["migrate", "--json"])).stdout;
      const { code, stdout, stderr } = await qudo(["migrate", "--print-grants"]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      for (const role of ["migrate", "produce", "work", "view"])
        expect(stdout).toMatch(new RegExp(`^grant .* to ["']qudo_${role}["'];$`, "m"));
      const json = JSON.parse((await qudo(["migrate", "--print-grants", "--json"])).stdout) as {
        database: string;
        grants: string;
      };
      expect(json).toEqual({ database: label, grants: expect.stringContaining("grant ") });
      expect((await qudo(["migrate", "--json"])).stdout).toBe(before);
    });

    test("jobs are added, worked, looked at and checked", async () => {
      const added = await qudo(["enqueue", "greet", '{"name":"Ada"}', "--jobs", JOBS]);
      expect(added).toMatchObject({ code: 0 });
      const id = added.stdout.trim();
      await using worker = new Cli(["work", "--jobs", JOBS, "--name", "w1"], {
        env: { QUDO_DATABASE: place.url },
      });
      await worker.said("hello Ada");
      await worker.said(`working on ${label}`);
      const waited = await qudo(["enqueue", "greet", '{"name":"Eve"}', "--jobs", JOBS, "--wait"]);
      expect(waited).toMatchObject({ code: 0 });
      const status = await qudo(["status"]);
      expect(status.stdout).toContain(`${label}, schema `);
      expect(status.stdout).toMatch(/^w1 /m);
      worker.signal("SIGTERM");
      expect(hidden(await worker.ended).code).toBe(0);
      expect((await qudo(["show", id])).stdout).toContain("done");
      expect((await qudo(["list", "--state", "done"])).stdout).toContain(id);
      const doctor = await qudo(["doctor"]);
      expect(doctor).toMatchObject({ code: 0 });
      expect(doctor.stdout).toContain("No violations.");
    });

    test("what is for files is refused, and what is known of jobs stays", async () => {
      for (const args of [
        ["backup", "copy.db"],
        ["prune", "--compact"],
      ]) {
        const { code, stderr } = await qudo(args);
        expect({ args, code }).toEqual({ args, code: 1 });
        expect(stderr).toContain("[QUDO_UNSUPPORTED]");
      }
    });

    test("the address may also stand on the command line, its parameters too", async () => {
      const url = `${place.url}?prefix=other_`;
      const { code, stdout } = hidden(await run(["migrate", "--database", url]));
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: expect.stringMatching(/tables created/) as string,
      });
      expect(stdout).toContain(`${label}?prefix=other_: `);
      const status = hidden(await run(["status", "--database", url]));
      expect(status.stdout).toContain("?prefix=other_, schema ");
    });

    test(`the password may come from ${variable}, so that what is printed is an address to use`, async () => {
      const args = ["status", "--database", label];
      const given = hidden(await run(args, { env: { [variable]: password } }));
      expect(given).toMatchObject({ code: 0, stderr: "" });
      const without = await run(args, { env: { [variable]: "n0tThis" } });
      expect(without.code).toBe(1);
      expect(without.stderr).not.toContain("n0tThis");
    });

    test.each([
      ["a wrong password", (url: URL) => (url.password = "n0tThis")],
      ["a server that is not there", (url: URL) => (url.port = "1")],
      ["a database that is not there", (url: URL) => (url.pathname = "/nowhere")],
    ])("%s is told without the password, also with QUDO_DEBUG", async (_, change) => {
      const url = new URL(place.url);
      change(url);
      const env = { QUDO_DATABASE: url.href, QUDO_DEBUG: "1" };
      const { code, stdout, stderr } = hidden(await run(["status"], { env }));
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain("[QUDO_DATABASE_UNREACHABLE]");
      expect(stderr).not.toContain("n0tThis");
    });
  });

describe("an address that cannot be", () => {
  const address = "postgres://app:s3cret@host/db";

  test.each([
    [["status", "--database", `${address}?sslmod=require`], 'no parameter "sslmod"'],
    [["status", "--database", "mysql://app:s3cret@host"], "names no database"],
    [["work", "--jobs", JOBS, "--database", "mysql://app:s3cret@h:x/d"], "A port of the database"],
    [["status", "--database", "redis://app:s3cret@host/db"], '"redis:" is not supported'],
    // In a wrong place, where the command line itself repeats it.
    [[address], "unknown command"],
    [["status", address], "too many arguments"],
    [["status", `--databas=${address}`], "unknown option"],
    [["list", "--limit", address], "--limit"],
    [["list", "--state", address], "state"],
    [["cancel", address], "UUID"],
    [["enqueue", "greet", "--delay", address], "--delay"],
  ])("%j is wrong usage, and shows no password", async (args, says) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(says);
    expect(stdout + stderr).not.toContain("s3cret");
  });
});

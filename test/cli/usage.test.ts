import { describe, expect, it } from "vitest";
import { VERSION } from "../../src/index.js";
import { run } from "./support/cli.js";

const COMMANDS =
  "work enqueue status list limits show explain attempts changes overdue retry cancel pause resume prune backup migrate database doctor".split(
    " ",
  );

describe("help", () => {
  it.each(COMMANDS)("of %s describes and shows examples", async (name) => {
    const { code, stdout, stderr } = await run([name, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Usage: qudo ${name}`);
    for (const option of ["--database <url>", "--json", "QUDO_DATABASE"])
      expect(stdout).toContain(option);
    const [, examples] = stdout.split("Examples:");
    expect(examples?.match(/\$ .*\bqudo \w+/g)?.length).toBeGreaterThanOrEqual(2);
  });

  it("of qudo lists the commands and the exit codes", async () => {
    const { code, stdout } = await run(["--help"]);
    expect(code).toBe(0);
    for (const name of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} `, "m"));
    expect(stdout).toContain("Exit codes: 0 all went well, 1 it failed, 2 wrong usage.");
  });

  it("tells the version", async () => {
    expect(await run(["--version"])).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: "" });
  });
});

describe("wrong usage exits with 2 and says what is right", () => {
  it.each([
    { args: [], says: "Usage: qudo" },
    { args: ["doctr"], says: "Did you mean doctor?" },
    { args: ["hlep"], says: "Did you mean help?" },
    { args: ["lst"], says: "Did you mean list?" },
    { args: ["show"], says: "missing required argument 'id'" },
    { args: ["pause"], says: "missing required argument 'queue'" },
    { args: ["backup"], says: "missing required argument 'path'" },
    { args: ["status", "--jsn"], says: "Did you mean --json?" },
    { args: ["status", "extra"], says: "too many arguments" },
    { args: ["work"], says: "--jobs <file...>" },
    { args: ["status", "--database", "mongodb://x"], says: '"mongodb:" is not supported' },
  ])("qudo $args", async ({ args, says }) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(says);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe("errors", () => {
  const bad = ["status", "--database", "mongodb://x"];

  it("name their code on stderr, without a stack and without colours", async () => {
    const { stderr } = await run(bad);
    expect(stderr).toMatch(/^error: .+\n +\[QUDO_INVALID_URL\]\n$/);
  });

  it("show the stack when QUDO_DEBUG is set", async () => {
    expect((await run(bad, { env: { QUDO_DEBUG: "1" } })).stderr).toMatch(/^\s+at /m);
  });

  it("are one JSON object on stdout with --json", async () => {
    const { code, stdout, stderr } = await run([...bad, "--json"]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({
      error: { code: "QUDO_INVALID_URL", message: expect.stringContaining("mongodb:") },
    });
  });
});

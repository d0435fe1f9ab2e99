/** Plugins on the command line: what --use loads, the commands that come with it, and what is wrong with a file. */
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cli, fixture, newFolder, run, runJson } from "./support/cli.js";

const PLUGINS = fixture("plugins.mjs");
const QUDO = pathToFileURL(fixture("../../../dist/index.js")).href;

let folder: ReturnType<typeof newFolder>;
let at: readonly string[];

beforeEach(() => {
  folder = newFolder();
  at = ["--database", `sqlite:${folder.path("jobs.db")}`];
});
afterEach(() => folder.remove());

/** A module of its own. */
function module(text: string): string {
  const path = folder.path("used.mjs");
  writeFileSync(path, text);
  return path;
}

describe("qudo --use", () => {
  test("adds the plugin's commands, with its api, its options and both forms of output", async () => {
    const { stdout: id, code } = await run(["--use", PLUGINS, "enqueue", "mail", "1", ...at]);
    expect([code, id]).toEqual([0, expect.stringMatching(/^[0-9a-f-]{36}\n$/) as string]);
    const text = await run([`--use=${PLUGINS}`, "audit", "mail", ...at]);
    expect(text).toMatchObject({ code: 0, stderr: "" });
    expect(text.stdout).toMatch(/^Audit: 1/);
    expect(text.stdout).not.toContain("\u001B");
    const env = { QUDO_USE: PLUGINS };
    const { json } = await runJson(["audit", "mail", ...at], { env });
    expect(json).toEqual({ n: 1 });
    const few = await run(["--use", PLUGINS, "audit", "mail", "--at-least", "9", ...at]);
    expect(few).toMatchObject({ code: 2, stderr: expect.stringContaining("too few") as string });
    const broken = await run(["--use", PLUGINS, "break", ...at]);
    expect(broken).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("it broke") as string,
    });
    const show = await runJson<{ job: object }>(["show", id.trim(), ...at]);
    expect(show.json.job).toMatchObject({ priority: 5 });
  });

  test("shows them in the help", async () => {
    const help = await run(["--use", PLUGINS, "--help"]);
    expect(help.stdout).toContain("count the jobs of a kind");
    expect((await run(["--help"])).stdout).not.toContain("count the jobs of a kind");
    const own = await run(["--use", PLUGINS, "audit", "--help"]);
    expect(own.stdout).toContain("how many mails there are");
  });

  test("calls the hooks of a worker's runs", async () => {
    await run(["enqueue", "greet", '"you"', "--jobs", fixture("jobs.mjs"), ...at]);
    const jobs = fixture("jobs.mjs");
    await using worker = new Cli(["--use", PLUGINS, "work", "--jobs", jobs, ...at]);
    await worker.said("postWork of greet");
  });

  test.each([
    ["that is not there", "no-such-file.mjs", "There is no such file"],
    ["that exports none", fixture("jobs.mjs"), "exports no plugins"],
  ])("refuses a file %s", async (_, file, why) => {
    const { code, stderr } = await run(["--use", file, "status"]);
    expect(code).toBe(2);
    expect(stderr).toContain(why);
    expect(stderr).toContain("QUDO_PLUGIN_FILE");
  });

  test("refuses a command of a name that is taken", async () => {
    const file = module(
      `import { definePlugin } from "${QUDO}";
       export default definePlugin({ name: "a", setup: () => ({}),
         commands: [{ name: "status", summary: "mine", run: () => undefined }] })();`,
    );
    const { code, stderr } = await run(["--use", file, "status"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("QUDO_PLUGIN_CLASH") as string]);
  });
});

test("a payload that cannot be read here is shown as that, and can be retried and cancelled", async () => {
  const file = module(
    `import { defineJob, v8 } from "${QUDO}";
     const own = { name: "own", codec: 300, serialize: () => new Uint8Array([1, 2, 3]), deserialize: () => "read" };
     export const sealed = defineJob("sealed", { serializer: own, run: () => undefined });
     export const rich = defineJob("rich", { serializer: v8, run: () => undefined,
       hooks: { preEnqueue: (job) => { job.payload = { big: 1n, password: "hunter2", map: new Map([["a", 1]]) }; } } });`,
  );
  const [sealed, rich] = await Promise.all(
    ["sealed", "rich"].map(async (kind) =>
      (await run(["enqueue", kind, "1", "--jobs", file, ...at])).stdout.trim(),
    ),
  );
  const shown = await run(["show", sealed!, ...at]);
  expect(shown).toMatchObject({ code: 0, stderr: "" });
  expect(shown.stdout).toContain("300");
  const { json } = await runJson<{ job: object }>(["show", sealed!, ...at]);
  expect(json.job).toMatchObject({
    payload: null,
    unreadable: expect.stringContaining("300") as string,
  });
  const other = await runJson<{ job: object }>(["show", rich!, ...at]);
  expect(other.json.job).toMatchObject({
    payload: { big: "1n", password: "[redacted]", map: { a: 1 } },
    unreadable: null,
  });
  expect((await run(["list", ...at])).stdout).toContain("sealed");
  for (const command of ["cancel", "retry"])
    expect((await run([command, sealed!, ...at])).code).toBe(0);
});

/** The examples of docs/testing.md, as they stand there, under the test runners that they are for. */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

/** A run of vitest starts a process for each file, on a machine that may have other things to do. */
const PATIENCE_MS = 240_000;
vi.setConfig({ testTimeout: PATIENCE_MS });

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Below dist, where nobody looks, and none of it is packed. */
const FOLDER = join(ROOT, "dist/.testing-page");
const run = promisify(execFile);

/** Blocks of code that begin with the name of a file. */
function examples(page: string): [name: string, text: string][] {
  const blocks = page.matchAll(/^```js\n\/\/ ([\w.-]+)\n(.*?)^```$/gms);
  return Array.from(blocks, ([, name, text]) => [name!, text!]);
}

const found = examples(readFileSync(join(ROOT, "docs/testing.md"), "utf8"));

beforeAll(() => {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(join(FOLDER, "node_modules"), { recursive: true });
  symlinkSync(ROOT, join(FOLDER, "node_modules/qudo"), "dir");
  writeFileSync(join(FOLDER, "package.json"), JSON.stringify({ type: "module" }));
  // Beside them stands a link to this very folder's grandparent, which must not be searched.
  const config = { test: { include: ["*.test.js"], exclude: [], testTimeout: PATIENCE_MS } };
  writeFileSync(join(FOLDER, "vitest.config.js"), `export default ${JSON.stringify(config)};\n`);
  for (const [name, text] of found) writeFileSync(join(FOLDER, name), text);
});

afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

/** Without what this run of vitest tells its children. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_V8|TEST$|NODE_ENV)/.test(name)),
);

test("there are examples for both runners", () => {
  const names = found.map(([name]) => name);
  expect(names).toEqual([
    "jobs.js",
    "jobs.test.js",
    "jobs.node-test.js",
    "transfer.test.js",
    "program.test.js",
  ]);
});

test("vitest runs them", async () => {
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", "--root", FOLDER, "--reporter=json"];
  const { stdout } = await run(process.execPath, args, {
    cwd: FOLDER,
    env,
    timeout: PATIENCE_MS,
  }).catch((error: { stdout: string }) => error);
  const report = JSON.parse(stdout.slice(stdout.indexOf("{"))) as {
    numPassedTests: number;
    testResults: { message: string; assertionResults: { failureMessages: string[] }[] }[];
  };
  const failures = report.testResults.flatMap(({ message, assertionResults }) => [
    ...(message === "" ? [] : [message]),
    ...assertionResults.flatMap(({ failureMessages }) => failureMessages),
  ]);
  expect(failures).toEqual([]);
  expect(report.numPassedTests).toBe(6);
});

test("node:test runs them", async () => {
  const args = ["--test", "--test-reporter=tap", join(FOLDER, "jobs.node-test.js")];
  const { stdout } = await run(process.execPath, args, {
    cwd: FOLDER,
    env,
    timeout: PATIENCE_MS,
  }).catch((error: { stdout: string }) => error);
  expect(stdout).toMatch(/^# pass 1$/m);
  expect(stdout).toMatch(/^# fail 0$/m);
});

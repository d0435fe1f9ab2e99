/**
 * Builds dist/ once before the tests: processes, and the threads that serve SQLite files, run what is built, also for tests
 * that import the sources. Does next to nothing where it is current.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const DONE = "QUDO_TESTS_BUILT";

export default function setup(): void {
  // Each project asks for it.
  if (process.env[DONE] !== undefined) return;
  process.env[DONE] = "yes";
  const tsc = ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"];
  try {
    execFileSync(process.execPath, tsc, { cwd: root, stdio: "pipe" });
  } catch (error) {
    // It writes what it can; errors of types are for `npm run check` to tell.
    if (!existsSync(`${root}dist/index.js`)) throw error;
  }
}

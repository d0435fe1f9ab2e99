/** Adds up vitest's JSON results: seconds of each file, and a closing line that anybody can read. */
import { existsSync, readFileSync } from "node:fs";
import { basename, relative } from "node:path";

let [passed, failed, skipped] = [0, 0, 0];
for (const file of process.argv.slice(2)) {
  if (!existsSync(file)) continue;
  const run = JSON.parse(readFileSync(file, "utf8"));
  passed += run.numPassedTests;
  failed += run.numFailedTests + run.numFailedTestSuites;
  skipped += run.numPendingTests + run.numTodoTests;
  console.log(`\n${basename(file, ".json")}`);
  for (const { name, startTime, endTime, status } of run.testResults) {
    const seconds = ((endTime - startTime) / 1000).toFixed(1).padStart(7);
    console.log(
      `${seconds} s  ${relative(process.cwd(), name)}${status === "passed" ? "" : `  ${status}`}`,
    );
  }
}
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = passed === 0 || failed > 0 ? 1 : 0;

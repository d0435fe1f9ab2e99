/** Adds up vitest's JSON results: seconds of each file, what failed and why, and a closing line that anybody can read. */
import { existsSync, readFileSync } from "node:fs";
import { basename, relative } from "node:path";

let [passed, skipped] = [0, 0];
const failures = [];
for (const file of process.argv.slice(2)) {
  if (!existsSync(file)) continue;
  const run = JSON.parse(readFileSync(file, "utf8"));
  passed += run.numPassedTests;
  skipped += run.numPendingTests + run.numTodoTests;
  console.log(`\n${basename(file, ".json")}`);
  for (const { name, startTime, endTime, status } of run.testResults) {
    const seconds = ((endTime - startTime) / 1000).toFixed(1).padStart(7);
    console.log(
      `${seconds} s  ${relative(process.cwd(), name)}${status === "passed" ? "" : `  ${status}`}`,
    );
  }
  for (const { name, status, message, assertionResults } of run.testResults) {
    const tests = assertionResults.filter((test) => test.status === "failed");
    if (status !== "failed") continue;
    const place = `${basename(file, ".json")}  ${relative(process.cwd(), name)}`;
    if (tests.length === 0) failures.push(`${place}\n${message}`);
    for (const { fullName, failureMessages } of tests)
      failures.push(`${place}\n${fullName}\n${failureMessages.join("\n")}`);
  }
}
for (const text of failures) console.log(`\nFAILED  ${text.slice(0, 2_000)}`);
console.log(`\n${passed} passed, ${failures.length} failed, ${skipped} skipped`);
process.exitCode = passed === 0 || failures.length > 0 ? 1 : 0;

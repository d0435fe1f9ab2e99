/**
 * Fails where a row of docs/parity.md has no passing test: `node scripts/check-parity.mjs RESULTS.json …`, what vitest's JSON reporter
 * wrote. A test in test/parity has to have passed on every database; no test that a row names may have failed anywhere.
 */
import { readFileSync } from "node:fs";
import { DATABASES, IDS, ON_EACH, PAGE, readTable } from "./parity/table.mjs";

const ran = process.argv.slice(2).flatMap(assertionsOf);
const rows = readTable();
const wrong = IDS.filter((id) => !rows.some((row) => row.id === id)).map(
  (id) => `${id} has no row`,
);
for (const row of rows) wrong.push(...wrongWith(row).map((what) => `${row.id} ${what}`));

for (const line of wrong) console.log(line);
const proved = rows.filter(({ id }) => !wrong.some((line) => line.startsWith(`${id} `))).length;
console.log(`${PAGE}: ${proved} of ${IDS.length} rows proved`);
process.exitCode = wrong.length === 0 ? 0 : 1;

/** @param {string} path */
function assertionsOf(path) {
  const { testResults } = JSON.parse(readFileSync(path, "utf8"));
  return testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ title, ancestorTitles, status }) => ({
      file: name.replaceAll("\\", "/"),
      title,
      within: ancestorTitles,
      status,
    })),
  );
}

function wrongWith({ tests }) {
  if (tests.length === 0) return ["names no test"];
  return tests.flatMap(({ file, title }) => {
    const found = ran.filter((one) => one.file.endsWith(`/${file}`) && one.title === title);
    const passed = found.filter(({ status }) => status === "passed");
    if (found.some(({ status }) => status === "failed")) return [`failed: ${file}: ${title}`];
    if (passed.length === 0) return [`did not run: ${file}: ${title}`];
    if (!file.startsWith(ON_EACH)) return [];
    return DATABASES.filter(
      (database) => !passed.some(({ within }) => within.includes(database)),
    ).map((database) => `did not run on ${database}: ${file}: ${title}`);
  });
}

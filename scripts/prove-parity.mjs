/**
 * Takes the source lines of each row of docs/parity.md away, one row at a time, in a copy of this tree, and sees that row's test fail there:
 * `node scripts/prove-parity.mjs [ROW …]`. Writes what it saw into docs/parity-proof.md, where it was asked for all rows. On SQLite: what
 * servers do is proved by the same tests, when they pass.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BREAKS } from "./parity/breaks.mjs";
import { readTable } from "./parity/table.mjs";

const PAGE = "docs/parity-proof.md";
/** A test that hangs without its lines has failed, too. */
const PATIENCE_MS = 30_000;
const ROW_MS = 180_000;
const HANGS = "it did not come to its end";

/** On SQLite, with what was built here. */
const SURROUNDINGS = { QUDO_TEST_SERVERS: "0", QUDO_TEST_ALL: "", QUDO_TESTS_BUILT: "yes" };

const wanted = process.argv.slice(2);
const rows = readTable().filter(({ id }) => wanted.length === 0 || wanted.includes(id));
const copy = mkdtempSync(join(tmpdir(), "qudo-parity-"));
const proofs = [];
try {
  for (const path of [
    "src",
    "test",
    "examples",
    "scripts",
    "docs",
    "dist",
    "package.json",
    "vitest.config.ts",
  ])
    cpSync(path, join(copy, path), { recursive: true });
  for (const path of ["tsconfig.json", "tsconfig.build.json"]) cpSync(path, join(copy, path));
  symlinkSync(join(process.cwd(), "node_modules"), join(copy, "node_modules"));
  for (const row of rows) proofs.push(prove(row));
} finally {
  rmSync(copy, { recursive: true, force: true });
}
const unproved = proofs.filter(({ failed }) => !failed);
for (const { id } of unproved)
  console.log(`${id}: its test passes without the lines that are to make it true`);
if (wanted.length === 0) writeFileSync(PAGE, page(proofs));
process.exitCode = unproved.length === 0 ? 0 : 1;

function prove({ id, tests: [{ file, title }], source: [{ file: broken, text }] }) {
  const path = join(copy, broken);
  const sound = readFileSync(path, "utf8");
  const line = sound.slice(0, sound.indexOf(text)).split("\n").length;
  writeFileSync(
    path,
    sound.replace(text, () => BREAKS[id]),
  );
  try {
    build(broken);
    const { failed, why } = run(file, title);
    console.log(`${id}: ${failed ? `fails: ${why}` : "passes"}`);
    return { id, broken, line, put: BREAKS[id], failed, why };
  } finally {
    writeFileSync(path, sound);
    build(broken);
  }
}

/** Processes and threads run what is built. Types may be wrong now; what can be written is. */
function build(broken) {
  const project = broken.startsWith("examples/") ? "examples/small" : "tsconfig.build.json";
  spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", project, "--noCheck"], {
    cwd: copy,
  });
}

function run(file, title) {
  const results = join(copy, "results.json");
  rmSync(results, { force: true });
  const pattern = title.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&");
  const args = ["--project", "parity", file, "-t", pattern, "--testTimeout", String(PATIENCE_MS)];
  try {
    execFileSync(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...args], {
      cwd: copy,
      stdio: "ignore",
      timeout: ROW_MS,
      env: { ...process.env, ...SURROUNDINGS, QUDO_RESULTS: results },
    });
    return { failed: false, why: "" };
  } catch {
    return { failed: true, why: firstLine(results) };
  }
}

function firstLine(results) {
  try {
    const { testResults } = JSON.parse(readFileSync(results, "utf8"));
    const all = testResults.flatMap(({ assertionResults, message }) => [
      ...assertionResults.flatMap(({ failureMessages }) => failureMessages ?? []),
      message,
    ]);
    const first = all.find(Boolean) ?? "";
    // What the runner says of a test that ran out of time.
    if (first.startsWith("Error: STACK_TRACE_ERROR")) return HANGS;
    return first.split("\n")[0].replaceAll(copy, "").slice(0, 120);
  } catch {
    return HANGS;
  }
}

function page(all) {
  const lines = all.map(
    ({ id, broken, line, put, failed, why }) =>
      `| ${id} | \`${broken}:${line}\` | ${code(put)} | ${failed ? cell(why) : "**it passes**"} |`,
  );
  return `# What makes each row of the parity table true

Written by \`node scripts/prove-parity.mjs\`, which took the lines of each row of [\`parity.md\`](parity.md) away, one row at a time, and ran the row's test on SQLite.

| row | without | with, instead | what its test said |
|---|---|---|---|
${lines.join("\n")}
`;
}

function code(text) {
  return text === "" ? "nothing" : `\`${cell(text)}\``;
}

function cell(text) {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ").trim();
}

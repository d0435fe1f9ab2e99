/**
 * The suite on every Node that is supported, each from npm as a binary without scripts, kept below dist/.nodes:
 *
 *     npm run test:nodes                                      all projects on all of them
 *     npm run test:nodes -- --node 22,26 --project unit,cli   less
 *     npm run test:nodes -- --without-servers                 on SQLite alone
 *     npm run test:nodes -- --allow-missing                   a release that the registry lacks is no failure
 *
 * One table at the end. Exit code 0: all passed; 1: something did not; 2: wrong usage.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const NODES = ["20", "22", "24", "26"];
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PLACE = join(ROOT, "dist", ".nodes");
const WINDOWS = process.platform === "win32";

const { nodes, projects, withoutServers, allowMissing } = settings();
const rows = [];
for (const node of nodes) rows.push(await testOn(node));
print(rows);
process.exitCode = rows.every(isFine) ? 0 : 1;

function settings() {
  const text = { type: "string", multiple: true };
  try {
    const { values } = parseArgs({
      options: {
        node: text,
        project: text,
        "without-servers": { type: "boolean" },
        "allow-missing": { type: "boolean" },
      },
    });
    return {
      nodes: list(values.node) ?? NODES,
      projects: list(values.project) ?? [],
      withoutServers: values["without-servers"] === true,
      allowMissing: values["allow-missing"] === true,
    };
  } catch (error) {
    console.error(
      `${error.message}\nIt knows: --node 22,26 --project unit,cli --without-servers --allow-missing`,
    );
    process.exit(2);
  }
}

/** "22,26" and "22" "26" alike. */
function list(given) {
  return given?.flatMap((part) => part.split(",")).filter(Boolean);
}

/** One line of the table. */
async function testOn(node) {
  const fetched = await fetchNode(node);
  if (fetched.binary === undefined) return { node, ...fetched };
  const version = (await run(fetched.binary, ["--version"], { quiet: true })).output.trim();
  console.log(`\n=== Node ${version}`);
  const results = join(PLACE, `results-${node}.json`);
  rmSync(results, { force: true });
  const begin = performance.now();
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const { code } = await run(
    fetched.binary,
    [vitest, "run", ...projects.flatMap((name) => ["--project", name])],
    // What tests start by the name "node" or "npm" is to be this one as well.
    {
      env: {
        QUDO_RESULTS: results,
        PATH: dirname(fetched.binary) + delimiter + process.env.PATH,
        ...(withoutServers && { QUDO_TEST_SERVERS: "0" }),
      },
    },
  );
  const seconds = (performance.now() - begin) / 1_000;
  return { node: version, ...figures(results), code, seconds };
}

/** Its binary; or what is wrong: `missing` when the registry has no such release, `trouble` for anything else. */
async function fetchNode(node) {
  const at = join(PLACE, node);
  const name = `node-${WINDOWS ? "win" : process.platform}-${process.arch}`;
  mkdirSync(at, { recursive: true });
  // A package of its own, or npm would look for one above and change that.
  writeFileSync(join(at, "package.json"), '{ "private": true }\n');
  const flags = ["--ignore-scripts", "--no-save", "--no-audit", "--no-fund"];
  const { code, output } = await run(
    WINDOWS ? "npm.cmd" : "npm",
    ["install", ...flags, `${name}@${node}`],
    { cwd: at, quiet: true, shell: WINDOWS },
  );
  const binary = join(at, "node_modules", name, "bin", WINDOWS ? "node.exe" : "node");
  if (code === 0 && existsSync(binary)) return { binary };
  console.error(
    `\n!!! Node ${node} could not be fetched (npm install ${name}@${node}):\n${output}`,
  );
  return /\b(?:ETARGET|E404)\b/.test(output) ? { missing: true } : { trouble: true };
}

/** Its standard output and errors together; passed on at once unless quiet. */
function run(command, args, { cwd = ROOT, env = {}, quiet = false, shell = false }) {
  const child = spawn(command, args, {
    cwd,
    shell,
    env: { ...process.env, ...env },
    stdio: quiet ? ["ignore", "pipe", "pipe"] : "inherit",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk) => (output += chunk));
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ code: 1, output: `${output}${error.message}` }));
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

function figures(results) {
  if (!existsSync(results)) return { passed: 0, failed: 0, skipped: 0 };
  const run = JSON.parse(readFileSync(results, "utf8"));
  const brokenFiles = run.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  return {
    passed: run.numPassedTests,
    failed: run.numFailedTests + brokenFiles.length,
    skipped: run.numPendingTests + run.numTodoTests,
  };
}

/** Nothing passed is no success: then nothing was tested. */
function isFine({ missing, trouble, code, passed, failed }) {
  if (missing) return allowMissing;
  return !trouble && code === 0 && failed === 0 && passed > 0;
}

function print(rows) {
  console.log();
  line("node", "passed", "failed", "skipped", "seconds");
  for (const row of rows)
    if (row.missing) line(row.node, "NOT IN THE REGISTRY", allowMissing ? "(allowed)" : "(fails)");
    else if (row.trouble) line(row.node, "COULD NOT BE FETCHED");
    else line(row.node, row.passed, row.failed, row.skipped, row.seconds.toFixed(1), verdict(row));
}

function line(...cells) {
  console.log(cells.map((cell) => String(cell).padStart(9)).join(" "));
}

function verdict(row) {
  if (isFine(row)) return "";
  return row.passed + row.failed === 0 ? "DID NOT RUN" : "FAILED";
}

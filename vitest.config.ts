import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";
import { librariesInstalled } from "./test/servers/installed.js";
import { mayLeaveOut } from "./test/servers/missing.js";

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** `unit` needs no file and no process and is quick; the other projects use real databases and processes, and what is built. */
const project = (name: string, timeoutMs: number) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    ...(name !== "unit" && { globalSetup: ["test/build.ts", "test/servers/setup.ts"].map(source) }),
  },
});

/** The same, of files that stand in another project's folder. */
const partOf = (name: string, timeoutMs: number, files: string) => {
  const part = project(name, timeoutMs);
  return { ...part, test: { ...part.test, include: [files] } };
};

/** Files of `worker` whose subject depends on the database, once more on a server. */
const ON_SERVERS =
  "test/worker/{claiming,explicit,fleet,hooks,hooks-throwing,limits,monitor,moving,once,processes,reload,replacing,running,serializers,sessions,shift,signals,stopping,stress,suspects,tasks,tasks-ends,tasks-lost,tasks-processes,tasks-stream}.test.ts";
const workersOn = (server: string) => {
  const part = project(`worker-${server}`, 60_000);
  const env = { QUDO_TEST_WORKERS_ON: server };
  return { ...part, test: { ...part.test, include: [ON_SERVERS], env } };
};

const without = (whole: ReturnType<typeof project>, files: string) => ({
  ...whole,
  test: { ...whole.test, exclude: [...configDefaults.exclude, files] },
});

// Those of minutes, by themselves: they depend on no version of Node, and one run of them is enough.
const MUTANTS = "test/conformance/mutants.test.ts";
const SERVER_INTERLEAVINGS = "test/interleavings/servers/**/*.test.ts";

/** Without their libraries these could not even be loaded: then installed.test.ts says so, alone. */
const adapters = project("adapters", 60_000);
const exclude = [...configDefaults.exclude, "test/adapters/!(installed).test.ts"];
if (!librariesInstalled() && mayLeaveOut("libraries")) Object.assign(adapters.test, { exclude });

/** Last, and beside nothing else: 64 processes at once would take the time of tests that watch how long something takes. */
const alone = (whole: ReturnType<typeof project>) => ({
  ...whole,
  test: { ...whole.test, maxWorkers: 1, sequence: { groupOrder: 1 } },
});

const results = process.env["QUDO_RESULTS"];

export default defineConfig({
  // Not below node_modules, the default: that folder is what the main job's tests index, and must stand still.
  cacheDir: "dist/.vite",
  resolve: {
    alias: [
      { find: /^qudo$/, replacement: source("src/index.ts") },
      { find: /^qudo\/testing$/, replacement: source("src/testing/index.ts") },
      { find: /^qudo\/sqlite$/, replacement: source("src/storage/sqlite/index.ts") },
      { find: /^qudo\/driver$/, replacement: source("src/storage/driver.ts") },
    ],
  },
  test: {
    // Two files beside each other also where there are two processors: tests wait for disks, servers and clocks more than they compute.
    maxWorkers: 2,
    // Results as data for .ci/run, beside what a person reads.
    ...(results && { reporters: ["default", ["json", { outputFile: results }]] }),
    projects: [
      project("unit", 10_000),
      without(project("conformance", 60_000), MUTANTS),
      partOf("mutants", 60_000, MUTANTS),
      without(project("interleavings", 120_000), SERVER_INTERLEAVINGS),
      partOf("server-interleavings", 120_000, SERVER_INTERLEAVINGS),
      project("worker", 30_000),
      workersOn("postgres"),
      workersOn("mariadb"),
      alone(project("faults", 120_000)),
      project("cli", 60_000),
      project("parity", 120_000),
      project("package", 60_000),
      adapters,
      project("servers", 60_000),
      project("postgres", 60_000),
      project("mysql", 60_000),
    ],
  },
});

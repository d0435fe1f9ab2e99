/**
 * DESIGN's "who may import whom", as tables first and a small checker below them.
 * Paths are below src. A pattern is a beginning of a path; one with "!" takes away from those before it.
 */
import { posix } from "node:path";
import type { Import, Module } from "./source.js";

/** Floors, all arrows downwards: a part may import itself and any floor below it, never a neighbour. */
export const FLOORS: readonly (readonly string[])[] = [
  ["index.ts", "cli/", "dashboard/", "testing/"],
  ["qudo.ts"],
  ["qudo-options.ts", "qudo-operating.ts"],
  ["worker/", "client/", "serializers/"],
  ["storage/"],
  ["core/"],
];

/** The engines, and the client libraries that stand in their connection.ts and nowhere else. */
const ENGINES: Readonly<Record<string, readonly string[]>> = {
  sqlite: ["node:sqlite", "@photostructure/sqlite", "better-sqlite3"],
  postgres: ["pg"],
  mysql: ["mysql2"],
};

const engines = Object.keys(ENGINES).map((name) => `storage/${name}/`);
const SHARED_STORAGE = ["storage/sql/", "storage/several/", "storage/thread/"];
const EVERYONE = "";
const except = (paths: readonly string[]): string[] => paths.map((path) => `!${path}`);

interface Fence {
  readonly rule: string;
  readonly who: readonly string[];
  readonly mayNotImport: readonly string[];
  /** Types may be named: they open nothing. */
  readonly butTypes?: true;
}

const OUTSIDE_THE_CONTRACT = [
  "storage/",
  "!storage/driver.ts",
  "!storage/ids.ts",
  "!storage/time.ts",
];

/** Where the floors alone would allow too much. */
export const FENCES: readonly Fence[] = [
  { rule: "contract-only", who: ["worker/", "client/"], mayNotImport: OUTSIDE_THE_CONTRACT },
  {
    rule: "testing-contract-only",
    who: ["testing/"],
    // What a Qudo is made with: which database, and what stands around it.
    mayNotImport: [
      ...OUTSIDE_THE_CONTRACT,
      "!storage/clock.ts",
      "!storage/database.ts",
      "!storage/world.ts",
    ],
  },
  {
    rule: "qudo-opens",
    // In its thread the same database is opened in the same way.
    who: [EVERYONE, "!qudo.ts", "!storage/thread/host.ts"],
    mayNotImport: ["storage/open.ts"],
    butTypes: true,
  },
  {
    rule: "engines-behind-open",
    who: [EVERYONE, "!storage/open.ts", ...except(engines)],
    mayNotImport: engines,
  },
  ...engines.map((engine) => ({
    rule: "engines-apart",
    who: [engine],
    mayNotImport: [...engines, `!${engine}`],
  })),
  { rule: "no-testing-in-production", who: [EVERYONE, "!testing/"], mayNotImport: ["testing/"] },
];

/** All that core may take from outside itself. */
const CORE_MAY_USE: Readonly<Record<string, readonly string[]>> = {
  "node:crypto": ["createHash"],
};

/** Clocks, dice and the outside world: core is given what it needs of them. */
export const IMPURE: readonly string[] = [
  "Date.now",
  "new Date()",
  "Math.random",
  "performance",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "crypto",
  "fetch",
  "console",
  "process",
  "globalThis",
  "require",
];

/** Who waits, or asks for the time, goes through core/time.ts, so that a test can hold all of it in its hands. */
const ON_GIVEN_TIME: readonly string[] = [
  "worker/",
  "client/",
  "qudo.ts",
  // About the process itself: its signals, its warnings.
  "!worker/signals.ts",
  // About other processes, and threads, which know no time but the real one.
  "!worker/prefork/",
  "!worker/isolate/",
  "!client/emitter.ts",
];

/** What would go past it. */
const OWN_TIME: readonly string[] = [
  "Date.now",
  "new Date()",
  "Math.random",
  "performance",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "AbortSignal.timeout",
  "process.hrtime",
];

const SQL_STANDS_IN: readonly string[] = [...engines, "storage/sql/"];
const SQL =
  /^\s*(?:select\s|insert\s+(?:or\s+\w+\s+)?into\s|update\s+\S+\s+set\s|delete\s+from\s|create\s+(?:\w+\s+)*(?:table|index|view|trigger|schema)\s|pragma\s|begin(?:\s+(?:immediate|deferred|exclusive|transaction|work))?\s*;?\s*$)/i;

export const MAX_LINES = 400;

export interface Violation {
  readonly rule: string;
  readonly at: string;
  readonly what: string;
}

/** Everything in these modules that breaks a rule above. */
export function violations(modules: readonly Module[]): Violation[] {
  const known = new Map(modules.map((module) => [module.path, module]));
  const found: Violation[] = [];
  for (const module of modules) {
    const report = (rule: string, what: string): void => {
      found.push({ rule, at: module.path, what });
    };
    checkPlace(module, report);
    checkWhole(module, report);
    if (module.path.startsWith("core/")) checkPurity(module, report);
    if (matches(module.path, ON_GIVEN_TIME)) checkTime(module, report);
    checkTexts(module, report);
    for (const imported of module.imports) {
      const target = targetOf(module, imported);
      if (target === null) checkPackage(imported, report);
      else if (!known.has(target)) report("resolves", imported.specifier);
      else checkEdge(module, imported, target, report);
    }
  }
  for (const circle of circles(modules))
    found.push({ rule: "no-circles", at: circle[0]!, what: circle.join(" → ") });
  return found;
}

type Report = (rule: string, what: string) => void;

/** A new folder belongs into the tables before it belongs into src. */
function checkPlace({ path }: Module, report: Report): void {
  if (floorOf(path) === null) report("known-place", "stands on no floor");
  const inFolder = path.startsWith("storage/") && path.split("/").length > 2;
  if (inFolder && !matches(path, [...engines, ...SHARED_STORAGE]))
    report("known-place", "is an engine that ENGINES does not know");
}

function checkWhole({ exportsAll, lines }: Module, report: Report): void {
  if (exportsAll) report("no-export-star", "export *");
  if (lines > MAX_LINES) report("size", `${lines} lines`);
}

function checkPurity({ mentions, imports }: Module, report: Report): void {
  for (const mention of mentions)
    if (IMPURE.some((name) => mention === name || mention.startsWith(`${name}.`)))
      report("core-is-pure", mention);
  for (const { specifier, names } of imports) {
    if (specifier.startsWith(".")) continue;
    const allowed = CORE_MAY_USE[specifier] ?? [];
    if (names.length === 0 || names.some((name) => !allowed.includes(name)))
      report("core-is-pure", `${names.join(", ")} from ${specifier}`);
  }
}

function checkTime({ mentions, imports }: Module, report: Report): void {
  for (const mention of mentions)
    if (OWN_TIME.some((name) => mention === name || mention.startsWith(`${name}.`)))
      report("time-is-given", mention);
  for (const { specifier } of imports)
    if (isIn("node:timers", specifier)) report("time-is-given", specifier);
}

function checkTexts({ path, texts }: Module, report: Report): void {
  for (const text of texts) {
    if (SQL.test(text) && !matches(path, SQL_STANDS_IN)) report("sql-in-storage", text);
    for (const [engine, libraries] of Object.entries(ENGINES))
      if (path !== `storage/${engine}/connection.ts` && libraries.some((name) => isIn(name, text)))
        report("client-library-in-connection", text);
  }
}

/** The package or a path into it: "mysql2", "mysql2/promise". */
function isIn(library: string, text: string): boolean {
  return text === library || text.startsWith(`${library}/`);
}

function checkPackage({ specifier }: Import, report: Report): void {
  // Through its own name the package could be entered from above.
  if (isIn("qudo", specifier)) report("arrows-down", specifier);
}

function checkEdge({ path }: Module, imported: Import, target: string, report: Report): void {
  const [from, to] = [floorOf(path), floorOf(target)];
  const down = from !== null && to !== null && (to.floor > from.floor || to.part === from.part);
  if (!down) report("arrows-down", target);
  for (const { rule, who, mayNotImport, butTypes } of FENCES)
    if (matches(path, who) && matches(target, mayNotImport) && !(butTypes && imported.typeOnly))
      report(rule, target);
}

function floorOf(path: string): { floor: number; part: string } | null {
  for (const [floor, parts] of FLOORS.entries()) {
    const part = parts.find((part) => (part.endsWith("/") ? path.startsWith(part) : path === part));
    if (part !== undefined) return { floor, part };
  }
  return null;
}

function matches(path: string, patterns: readonly string[]): boolean {
  const applies = patterns.findLast((pattern) => path.startsWith(pattern.replace(/^!/, "")));
  return applies !== undefined && !applies.startsWith("!");
}

/** The module below src that an import means, null for packages. */
function targetOf({ path }: Module, { specifier }: Import): string | null {
  if (!specifier.startsWith(".")) return null;
  return posix.join(posix.dirname(path), specifier).replace(/\.js$/, ".ts");
}

/** Circles of imports, types included: two files that need each other are one thought in two places. */
function circles(modules: readonly Module[]): string[][] {
  const targets = new Map(
    modules.map((module) => [module.path, module.imports.map((i) => targetOf(module, i))]),
  );
  const found: string[][] = [];
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) found.push([...trail.slice(start), path]);
    if (start >= 0 || finished.has(path)) return;
    for (const target of targets.get(path) ?? [])
      if (target !== null) visit(target, [...trail, path]);
    finished.add(path);
  };
  for (const { path } of modules) visit(path, []);
  return found;
}

import { describe, expect, it } from "vitest";
import { FENCES, FLOORS, IMPURE, MAX_LINES, violations } from "./support/architecture.js";
import { parseModule, readSource } from "./support/source.js";

const source = readSource();

describe("the source", () => {
  it("is read, floors, imports and all", () => {
    // Were nothing read, nothing would be broken either.
    expect(source.length).toBeGreaterThan(30);
    for (const parts of FLOORS)
      expect(source.some(({ path }) => parts.some((part) => path.startsWith(part)))).toBe(true);
    expect(source.flatMap(({ imports }) => imports).length).toBeGreaterThan(100);
    expect(source.flatMap(({ texts }) => texts).length).toBeGreaterThan(100);
  });

  it("keeps every rule", () => expect(violations(source)).toEqual([]));
});

/** Modules by path, and nothing wrong with the ones that a case does not speak of. */
type Sources = Record<string, string>;

const SOUND: Sources = {
  "index.ts": `export { Qudo } from "./qudo.js"; export type { Database } from "./storage/open.js";`,
  "qudo.ts": `import { work } from "./worker/worker.js"; import { open } from "./storage/open.js";`,
  "cli/main.ts": `import { Qudo } from "../qudo.js"; import { read } from "./read.js"; import "commander";`,
  "cli/read.ts": `import { readFile } from "node:fs/promises"; const at = new Date();`,
  "testing/index.ts": `import type { Driver } from "../storage/driver.js"; import "../core/ids.js";`,
  "worker/worker.ts": `import type { Driver } from "../storage/driver.js"; import "../core/ids.js"; import "../storage/ids.js";`,
  "client/producer.ts": `import type { Driver } from "../storage/driver.js"; import { sleep } from "../core/ids.js"; sleep(1);`,
  "worker/signals.ts": `setTimeout(() => {}, 1);`,
  "storage/driver.ts": `import "../core/ids.js"; export type S = "inserted" | "begin"; const s = "updated"; /* select 1 */`,
  "storage/ids.ts": `import { randomFillSync } from "node:crypto"; Date.now();`,
  "storage/open.ts": `const { x } = await import("./sqlite/index.js"); import type { H } from "./postgres/connection.js";`,
  "storage/sql/lease.ts": `export const lease = "select jobs from lease";`,
  "storage/sqlite/index.ts": `import "./connection.js"; import "../sql/lease.js"; run("begin immediate");`,
  "storage/sqlite/connection.ts": `const { DatabaseSync } = require("node:sqlite"); await import("@photostructure/sqlite");`,
  "storage/postgres/connection.ts": `import type { Pool } from "pg"; const q = \`update \${table} set a = 1\`;`,
  "storage/mysql/connection.ts": `import mysql from "mysql2/promise";`,
  "core/ids.ts": `import { createHash } from "node:crypto"; const at = (d: Date) => d instanceof Date; const now = 1;`,
};

const fileOf = (lines: number): Sources => ({ "core/a.ts": "const a = 1;\n".repeat(lines) });

const check = (sources: Sources) =>
  violations(Object.entries(sources).map(([path, text]) => parseModule(path, text)));

/** Rule, file and text that break it, once. */
const BROKEN: [rule: string, path: string, text: string][] = [
  ["arrows-down", "core/a.ts", `import "../storage/driver.js";`],
  ["arrows-down", "core/a.ts", `import type { D } from "../storage/driver.js";`],
  ["arrows-down", "core/a.ts", `let d: import("../storage/driver.js").D;`],
  ["arrows-down", "storage/a.ts", `import "../client/producer.js";`],
  ["arrows-down", "storage/a.ts", `export { x } from "../worker/worker.js";`],
  ["arrows-down", "worker/a.ts", `import "../client/producer.js";`],
  ["arrows-down", "client/a.ts", `await import("../worker/worker.js");`],
  ["arrows-down", "client/a.ts", `import "../qudo.js";`],
  ["arrows-down", "worker/a.ts", `import { Qudo } from "qudo";`],
  ["arrows-down", "cli/a.ts", `import { conformance } from "qudo/testing";`],
  ["arrows-down", "cli/a.ts", `import "../index.js";`],
  ["arrows-down", "qudo.ts", `import "./cli/main.js";`],
  ["contract-only", "worker/a.ts", `import "../storage/sql/lease.js";`],
  ["contract-only", "client/a.ts", `import type { O } from "../storage/open.js";`],
  ["testing-contract-only", "testing/a.ts", `import "../storage/sql/lease.js";`],
  ["qudo-opens", "cli/a.ts", `import { open } from "../storage/open.js";`],
  ["qudo-opens", "cli/a.ts", `import { type Database, open } from "../storage/open.js";`],
  ["qudo-opens", "index.ts", `export { open } from "./storage/open.js";`],
  ["qudo-opens", "storage/sqlite/a.ts", `import { open } from "../open.js";`],
  ["engines-behind-open", "cli/a.ts", `import "../storage/sqlite/index.js";`],
  ["engines-behind-open", "qudo.ts", `await import("./storage/sqlite/index.js");`],
  ["engines-behind-open", "storage/sql/a.ts", `import "../sqlite/index.js";`],
  ["engines-apart", "storage/postgres/a.ts", `import "../sqlite/index.js";`],
  ["engines-apart", "storage/sqlite/a.ts", `import type { C } from "../mysql/connection.js";`],
  ["no-testing-in-production", "qudo.ts", `import "./testing/index.js";`],
  ["no-testing-in-production", "cli/a.ts", `await import("../testing/index.js");`],
  ["core-is-pure", "core/a.ts", `import { readFileSync } from "node:fs";`],
  ["core-is-pure", "core/a.ts", `import { randomBytes } from "node:crypto";`],
  ["core-is-pure", "core/a.ts", `import * as crypto from "node:crypto";`],
  ["core-is-pure", "core/a.ts", `import "commander";`],
  ["core-is-pure", "core/a.ts", `export const now = () => Date.now();`],
  ["core-is-pure", "core/a.ts", `export const now = Date["now"];`],
  ["core-is-pure", "core/a.ts", `export const now = () => +new Date();`],
  ["core-is-pure", "core/a.ts", `export const dice = Math.random;`],
  ["core-is-pure", "core/a.ts", `export const { random } = { random: Math.random() };`],
  ["core-is-pure", "core/a.ts", `export const t = performance.now();`],
  ["core-is-pure", "core/a.ts", `setTimeout(() => 1, 5);`],
  ["core-is-pure", "core/a.ts", `export const timers = { setTimeout };`],
  ["core-is-pure", "core/a.ts", `export const env = process.env.HOME;`],
  ["time-is-given", "worker/a.ts", `setTimeout(() => 1, 5);`],
  ["time-is-given", "worker/a.ts", `import { setTimeout as sleep } from "node:timers/promises";`],
  ["time-is-given", "client/a.ts", `export const t = performance.now();`],
  ["time-is-given", "client/a.ts", `export const signal = AbortSignal.timeout(5);`],
  ["time-is-given", "qudo.ts", `export const dice = Math.random;`],
  ["client-library-in-connection", "storage/sqlite/a.ts", `import "node:sqlite";`],
  ["client-library-in-connection", "storage/mysql/connection.ts", `import { Pool } from "pg";`],
  ["client-library-in-connection", "qudo.ts", `const library = "better-sqlite3";`],
  ["client-library-in-connection", "storage/open.ts", `await import("mysql2/promise");`],
  ["sql-in-storage", "worker/a.ts", `run("select 1");`],
  ["sql-in-storage", "storage/a.ts", "run(`\n  INSERT INTO a (b) values (1)`);"],
  ["sql-in-storage", "storage/several/a.ts", "run(`insert or ignore into a values (1)`);"],
  ["sql-in-storage", "client/a.ts", "run(`update ${table} set a = 1`);"],
  ["sql-in-storage", "cli/a.ts", `run("delete from a");`],
  ["sql-in-storage", "cli/a.ts", `run("create unique index a on b (c)");`],
  ["sql-in-storage", "cli/a.ts", `run("pragma data_version");`],
  ["sql-in-storage", "cli/a.ts", `run("begin");`],
  ["sql-in-storage", "core/a.ts", `run("BEGIN IMMEDIATE");`],
  ["no-export-star", "core/a.ts", `export * from "./ids.js";`],
  ["no-export-star", "index.ts", `export * as core from "./core/ids.js";`],
  ["resolves", "core/a.ts", `import "./nowhere.js";`],
  ["known-place", "plugins/a.ts", ""],
  ["known-place", "helper.ts", ""],
  ["known-place", "storage/oracle/index.ts", ""],
];

describe("the checker", () => {
  it("has nothing to say about sound modules", () => expect(check(SOUND)).toEqual([]));

  it.each(BROKEN)("reports %s for %s: %s", (rule, path, text) => {
    const found = check({ ...SOUND, [path]: text });
    expect(found.filter((violation) => violation.at === path).map(({ rule }) => rule)).toContain(
      rule,
    );
  });

  it.each<[string, Sources]>([
    ["a file by itself", { "core/a.ts": `import "./a.js";` }],
    ["two", { "core/a.ts": `import "./b.js";`, "core/b.ts": `import "./a.js";` }],
    [
      "three, by types",
      {
        "core/a.ts": `import type { B } from "./b.js";`,
        "core/b.ts": `export type { C } from "./c.js";`,
        "core/c.ts": `type A = import("./a.js").A;`,
      },
    ],
  ])("reports a circle of %s", (_, sources) => {
    expect(check({ ...SOUND, ...sources })).toMatchObject([{ rule: "no-circles" }]);
  });

  it("sees no circle where two ways lead to one place", () => {
    const diamond = {
      "core/a.ts": `import "./b.js"; import "./c.js";`,
      "core/b.ts": `import "./ids.js";`,
      "core/c.ts": `import "./ids.js";`,
    };
    expect(check({ ...SOUND, ...diamond })).toEqual([]);
  });

  it("is itself shown a breach of every rule it has", () => {
    const shown = new Set(BROKEN.map(([rule]) => rule));
    for (const { rule } of FENCES) expect(shown).toContain(rule);
    for (const name of IMPURE)
      expect(check({ "core/a.ts": `const a = ${name};` }), name).toMatchObject([
        { rule: "core-is-pure" },
      ]);
  });

  it("takes the words of people for no SQL", () => {
    const words = ["inserted", "update", "Delete finished jobs", "Create the tables", "beginning"];
    expect(check({ "cli/a.ts": JSON.stringify(words) })).toEqual([]);
  });

  it("lets a file have 400 lines, and no more", () => {
    expect(check(fileOf(MAX_LINES))).toEqual([]);
    expect(check(fileOf(MAX_LINES + 1))).toMatchObject([{ rule: "size" }]);
  });
});

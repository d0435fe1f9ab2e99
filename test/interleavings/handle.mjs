/**
 * SQLite handles for the tests: a plain one, and one behind a proxy that calls `step` before every statement, begin and
 * commit included. The engine is given the latter as a user's own handle, so that nothing in the engine knows of the tests.
 *
 * @typedef {import("../../src/storage/sqlite/connection.ts").HandleLike} HandleLike
 * @typedef {import("../../src/storage/sqlite/connection.ts").StatementLike} StatementLike
 * @typedef {(sql: string) => string} Rewrite
 */
import { createRequire } from "node:module";

const DatabaseSync = await loadDatabase();

/** node:sqlite where this Node has it, else the package with the same API: the engine's own order. */
async function loadDatabase() {
  try {
    return createRequire(import.meta.url)("node:sqlite").DatabaseSync;
  } catch {
    return (await import("@photostructure/sqlite")).DatabaseSync;
  }
}

/**
 * The settings are the engine's, but for the time-out: waiting is to be seen by the conductor at once. A statement is
 * prepared once per handle: thousands of interleavings go through the same three.
 *
 * @param {string} path
 * @returns {HandleLike}
 */
export function openPlain(path) {
  const real = new DatabaseSync(path);
  real.exec("pragma busy_timeout=0");
  real.exec("pragma journal_mode=wal");
  real.exec("pragma synchronous=FULL");
  real.exec("pragma foreign_keys=on");
  /** @type {Map<string, StatementLike>} */
  const prepared = new Map();
  return {
    exec: (sql) => real.exec(sql),
    prepare: (sql) => {
      const statement = prepared.get(sql) ?? real.prepare(sql);
      prepared.set(sql, statement);
      return statement;
    },
    close: () => {
      prepared.clear();
      real.close();
    },
    get isTransaction() {
      return real.isTransaction;
    },
  };
}

/**
 * @param {HandleLike} real
 * @param {{ step: () => void, onBusy: () => void, rewrite: Rewrite }} hooks
 * @returns {HandleLike}
 */
export function stepped(real, { step, onBusy, rewrite }) {
  const observed = (/** @type {() => unknown} */ work) => {
    step();
    try {
      return work();
    } catch (error) {
      if ((error.errcode & 0xff) === 5) onBusy();
      throw error;
    }
  };
  return {
    exec: (sql) => observed(() => real.exec(rewrite(sql))),
    prepare: (sql) => steppedStatement(real.prepare(rewrite(sql)), observed),
    close: () => real.close(),
    get isTransaction() {
      return real.isTransaction;
    },
  };
}

/**
 * @param {StatementLike} real
 * @param {(work: () => unknown) => any} observed
 * @returns {StatementLike}
 */
function steppedStatement(real, observed) {
  return {
    run: (...values) => observed(() => real.run(...values)),
    get: (...values) => observed(() => real.get(...values)),
    all: (...values) => observed(() => real.all(...values)),
  };
}

/** The database's thread: errors that cross it, its death, and that it keeps nothing alive. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Worker as ThreadOfNode } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import { DatabaseError, defineJob, SessionLostError } from "../../src/index.js";
import type { Driver } from "../../src/storage/driver.js";
import { newId } from "../../src/storage/ids.js";
import { openDatabase, type DatabaseOptions } from "../../src/storage/open.js";
import { manualClock } from "../../src/testing/index.js";
import { gate, newPath, newQudo, order, refused, totals, until } from "./support.js";

const opened: Driver[] = [];

async function open(path = newPath(), options: DatabaseOptions = {}): Promise<Driver> {
  const driver = await openDatabase({ url: `sqlite:${path}`, ...options });
  opened.push(driver);
  await driver.migrate();
  return driver;
}

afterEach(async () => {
  for (const driver of opened.splice(0)) await driver.close();
});

const inThread = (driver: Driver): boolean => driver.keepAlive !== undefined;
const noop = defineJob("noop", { run: () => undefined });

const clock = (): number => 1_800_000_000_000;

describe("where a database is served", () => {
  test.each<[string, DatabaseOptions, boolean]>([
    ["a file", {}, true],
    ["a file, with thread: false", { thread: false }, false],
    ["a file with a clock that threads share", { clock: manualClock(5) }, true],
    ["a file with a function for a clock", { clock }, false],
    ["memory", { url: "sqlite::memory:" }, false],
  ])("%s", async (_, options, there) => {
    const driver = await open(newPath(), options);
    expect(inThread(driver)).toBe(there);
    expect(driver.capabilities).toEqual({ wakeups: true });
    if (options.clock) expect(await driver.ping()).toEqual({ now: options.clock() });
  });

  test("thread takes true and false only", async () => {
    for (const thread of ["yes", 1, null] as never[])
      expect(await refused(openDatabase({ url: "sqlite:x.db", thread }))).toMatchObject({
        code: "QUDO_INVALID_OPTION",
      });
  });
});

describe("errors", () => {
  test("of opening it are as they are without the thread, but for the cause, which is text", async () => {
    const url = `sqlite:${newPath()}/in/no/folder.db`;
    const here = await refused(openDatabase({ url, thread: false }));
    const there = await refused(openDatabase({ url }));
    expect(there).toBeInstanceOf(DatabaseError);
    const { code, message, name, transient } = here as DatabaseError;
    expect(there).toMatchObject({ code, message, name, transient, cause: String(here.cause) });
    expect(code).toBe("QUDO_DATABASE_UNREACHABLE");
  });

  test("of an operation keep their class", async () => {
    const driver = await open();
    const claim = { lease: newId(), session: newId(), wants: [] };
    const error = await refused(driver.trip({ settle: [], claim }));
    expect(error).toBeInstanceOf(SessionLostError);
    expect(error).toMatchObject({ code: "QUDO_SESSION_LOST", name: "SessionLostError" });
  });

  test("what cannot cross is refused, and nothing waits for it", async () => {
    const driver = await open();
    const job = order("any", { payload: { codec: 1, text: (() => "1") as never, bin: null } });
    expect(await refused(driver.insertJobs([job]))).toMatchObject({ name: "DataCloneError" });
    expect(await driver.insertJobs([order("any")])).toEqual([{ status: "inserted" }]);
  });
});

test("many calls under way are done in order, and close() waits for them", async () => {
  const driver = await open();
  const ids = Array.from({ length: 300 }, newId);
  const calls = ids.flatMap((id) => [
    driver.insertJobs([order("any", { id })]),
    driver.insertJobs([order("any", { id })]),
    driver.getJobs([id]),
  ]);
  const closed = driver.close();
  const late = refused(driver.ping());
  const answers = await Promise.all(calls);
  ids.forEach((id, i) =>
    expect(answers.slice(3 * i, 3 * i + 3)).toMatchObject([
      [{ status: "inserted" }],
      [{ status: "duplicate" }],
      [{ id }],
    ]),
  );
  expect(await late).toMatchObject({ code: "QUDO_CLOSED" });
  await closed;
});

describe("a thread that dies", () => {
  const { NODE_OPTIONS } = process.env;
  const preload = new URL("fixtures/dies.mjs", import.meta.url).href;

  /** One of the threads started from here on dies when the returned function is called; resolves, or returns, then. */
  function mortal(): { (): Promise<void>; atOnce(): void } {
    const sign = newPath();
    process.env["DIES_WHEN"] = sign;
    process.env["NODE_OPTIONS"] = `${NODE_OPTIONS ?? ""} --import ${preload}`;
    const die = (): Promise<void> => {
      writeFileSync(sign, "");
      return until("it has died", () => !existsSync(sign));
    };
    const moment = new Int32Array(new SharedArrayBuffer(4));
    const atOnce = (): void => {
      writeFileSync(sign, "");
      while (existsSync(sign)) Atomics.wait(moment, 0, 0, 5);
    };
    return Object.assign(die, { atOnce });
  }

  afterEach(() => {
    delete process.env["DIES_WHEN"];
    if (NODE_OPTIONS === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = NODE_OPTIONS;
  });

  test("fails what was under way, for now; the next call starts another, which is told of listeners", async () => {
    const path = newPath();
    const die = mortal();
    const driver = await open(path);
    const other = await open(path, { thread: false });
    let heard = gate();
    driver.subscribe!(() => heard.open());
    await other.insertJobs([order("any")]);
    await heard.passed;
    // This loop stands still meanwhile, and has not heard of the death when it calls.
    die.atOnce();
    const error = await refused(driver.ping());
    expect(error).toBeInstanceOf(DatabaseError);
    expect(error).toMatchObject({ code: "QUDO_DATABASE_FAILED", transient: true });
    expect(error.message).toContain("a fault in the thread");
    expect((await driver.counts({}))[0]).toMatchObject({ pending: 1 });
    heard = gate();
    await other.insertJobs([order("any")]);
    await heard.passed;
  });

  test("does not stop a worker", async () => {
    const die = mortal();
    const qudo = newQudo([noop]);
    await qudo.work({ logger: { ...console, error: () => undefined } });
    await qudo.enqueue(noop, 1);
    await until("the first is done", async () => (await totals(qudo)).done === 1);
    await die();
    await qudo.enqueue(noop, 2);
    await until("the second is done", async () => (await totals(qudo)).done === 2);
  });

  test("and was idle is missed by nobody", async () => {
    const die = mortal();
    const started = once(process, "worker");
    const driver = await open();
    const [thread] = (await started) as [ThreadOfNode];
    const ended = new Promise((resolve) => thread.once("exit", resolve));
    await die();
    await ended;
    await until("it answers under a new thread", async () => (await driver.ping()).now > 0);
    await driver.close();
    expect(await refused(driver.ping())).toMatchObject({ code: "QUDO_CLOSED" });
  });
});

describe("a process ends by itself", () => {
  const script = fileURLToPath(new URL("fixtures/leaver.mjs", import.meta.url));

  async function leave(what: string, after = (_pid: number): unknown => undefined) {
    const path = newPath();
    const child = spawn(process.execPath, [script, `sqlite:${path}`, what], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = once(child, "exit");
    await once(child.stdout, "data");
    const said = performance.now();
    await after(child.pid!);
    const [code] = await exit;
    return { code: code as number | null, tookMs: performance.now() - said, path };
  }

  test.each(["leaves it open", "closes"])("when it %s", async (what) => {
    const { code, tookMs } = await leave(what);
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(1_000);
  });

  test("with its own exit code when it exits in the middle of its work", async () => {
    const ends = await Promise.all(Array.from({ length: 12 }, () => leave("exits")));
    // @photostructure/sqlite ends a process with SIGABRT when its thread is stopped inside it.
    expect(ends.map(({ code }) => code)).toEqual(ends.map(() => 7));
  });

  test("but not before its calls are answered", async () => {
    const { code, path } = await leave("calls");
    expect(code).toBe(0);
    expect((await totals(newQudo([], path))).pending).toBe(1);
  });

  test("but not while a worker works", async () => {
    let alive = false;
    const { code, tookMs } = await leave("works", async (pid) => {
      const begin = performance.now();
      await until(
        "it has worked for longer than it polls",
        () => performance.now() - begin > 1_500,
      );
      alive = process.kill(pid, 0);
      process.kill(pid, "SIGUSR1");
    });
    expect([code, alive]).toEqual([0, true]);
    expect(tookMs).toBeLessThan(2_500);
  });
});

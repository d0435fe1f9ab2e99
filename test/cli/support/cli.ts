/** Runs the compiled command as a process of its own, and waits for what it says. */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import type { HandleLike } from "../../../src/storage/sqlite/index.js";

export const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: run npm run build first`);

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

/** How a process ended, and all it said. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  /** All that it finds on stdin. Default: stdin stays open, see {@link Cli.tell}. */
  input?: string | Uint8Array;
}

/** Runs to the end. */
export function run(args: readonly string[], surroundings?: Surroundings): Promise<Ended> {
  return new Cli(args, surroundings).ended;
}

/** As {@link run}, for what has to come as one JSON object on stdout. */
export async function runJson<T>(
  args: readonly string[],
  surroundings?: Surroundings,
): Promise<{ code: number | null; json: T }> {
  const { code, stdout, stderr } = await run([...args, "--json"], surroundings);
  if (stderr !== "") throw new Error(`stderr should be empty: ${stderr}`);
  return { code, json: JSON.parse(stdout) as T };
}

const running = new Set<ChildProcessWithoutNullStreams>();

// Also of a test that ran out of time: what it leaves behind would take the processors of all others.
afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
});

export class Cli implements AsyncDisposable {
  readonly ended: Promise<Ended>;
  private readonly child: ChildProcessWithoutNullStreams;
  private stdout = "";
  private stderr = "";
  private over = false;
  private changed: () => void = () => undefined;

  constructor(args: readonly string[], { cwd, env, input }: Surroundings = {}) {
    const { QUDO_DATABASE: _, QUDO_DEBUG: __, FORCE_COLOR: ___, ...inherited } = process.env;
    this.child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...inherited, ...env } });
    running.add(this.child);
    if (input !== undefined) this.child.stdin.end(input);
    this.child.stdout.on("data", (data: Buffer) => this.heard(() => (this.stdout += String(data))));
    this.child.stderr.on("data", (data: Buffer) => this.heard(() => (this.stderr += String(data))));
    this.ended = once(this.child, "close").then(([code]) => {
      this.over = true;
      running.delete(this.child);
      this.changed();
      return { code: code as number | null, stdout: this.stdout, stderr: this.stderr };
    });
  }

  /** All that it has said so far. */
  get text(): string {
    return `${this.stdout}\n${this.stderr}`;
  }

  /** Resolves when stdout or stderr hold this; fails when the process ends without having said it. */
  async said(text: string): Promise<void> {
    while (!this.text.includes(text)) {
      if (this.over) throw new Error(`it ended without "${text}":\n${this.text}`);
      await new Promise<void>((resolve) => (this.changed = resolve));
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** As `| head` does when it has seen enough. */
  closeStdout(): void {
    this.child.stdout.destroy();
  }

  tell(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  private heard(keep: () => void): void {
    keep();
    this.changed();
  }
}

/** Runs it in a terminal that is so many columns wide, and returns all that appears there. */
export async function runInTerminal(args: readonly string[], columns: number): Promise<string> {
  const words = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(" ");
  const { QUDO_DATABASE: _, NO_COLOR: __, ...env } = process.env;
  const child = spawn("script", ["-qec", `stty cols ${columns}; ${words}`, "/dev/null"], { env });
  let text = "";
  child.stdout.on("data", (data: Buffer) => (text += String(data)));
  child.stdin.end();
  await once(child, "close");
  return text.replaceAll("\r\n", "\n");
}

/** Whether there is a `script` (util-linux), which makes terminals. */
export const TERMINALS = spawnSync("script", ["--version"]).stdout?.includes("util-linux") ?? false;

/** A new folder, and how to be rid of it. */
export function newFolder(): { path: (name: string) => string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "qudo-cli-"));
  return {
    path: (name) => join(folder, name),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

interface SqliteModule {
  DatabaseSync: new (path: string) => HandleLike;
}

/** Raw SQL on a file, for what the product would never do. */
export async function rawSql(path: string, sql: string): Promise<void> {
  const { DatabaseSync } = await loadSqlite();
  const handle = new DatabaseSync(path);
  handle.exec(sql);
  handle.close();
}

async function loadSqlite(): Promise<SqliteModule> {
  try {
    return createRequire(import.meta.url)("node:sqlite") as SqliteModule;
  } catch {
    return (await import("@photostructure/sqlite")) as unknown as SqliteModule;
  }
}

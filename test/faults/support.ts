/** Runs the example as a user does, in a process group of its own, and asks the system's own tools what is true. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Qudo, type Violation } from "qudo";

const MAIN = fileURLToPath(new URL("../../examples/index-files/dist/main.js", import.meta.url));
const PRELOAD = new URL("fixtures/kill-at.mjs", import.meta.url).href;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly ended: Promise<Ended>;
  signal(name: NodeJS.Signals): void;
  /** kill -9 of the main process alone: its workers are left to themselves. */
  killMain(): void;
  /** Whether this process is one of it. */
  holds(pid: number): boolean;
  /** Processes of it that still run. */
  alive(): number;
  /** Resolves when this much has been written to stdout. */
  printed(text: string): Promise<void>;
}

export function start(args: readonly string[], env: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [MAIN, ...args], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: `--import ${PRELOAD}`, ...env },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = once(child, "close").then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    stdout,
    stderr,
  }));
  return {
    ended,
    signal: (name) => void process.kill(-child.pid!, name),
    killMain: () => void process.kill(child.pid!, "SIGKILL"),
    holds: (pid) => statOf(pid)?.group === child.pid,
    alive: () => processesOf(child.pid!),
    printed: async (text) => {
      while (!stdout.includes(text)) await Promise.race([once(child.stdout, "data"), gone(ended)]);
    },
  };
}

async function gone(ended: Promise<Ended>): Promise<never> {
  throw new Error(`it ended before it said so: ${JSON.stringify(await ended)}`);
}

/** Living processes of a group; a zombie waits only for somebody to notice. */
function processesOf(group: number): number {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    const stat = statOf(Number(pid));
    return stat?.group === group && stat.state !== "Z" && stat.state !== "X";
  }).length;
}

/** Undefined when it is gone. */
function statOf(pid: number): { state: string; group: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: state!, group: Number(group) };
  } catch {
    return undefined;
  }
}

export const index = (args: readonly string[], env?: Record<string, string>): Promise<Ended> =>
  start(args, env).ended;

/** The digest as the README tells to prove it, with the bytes of the paths as they are. */
export function digestOutside(folder: string): { digest: string; files: number } {
  const shell = (command: string): string =>
    execFileSync("bash", ["-c", command], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C" },
    }).trim();
  const hashes = "find . -type f -printf '%P\\0' | sort -z | xargs -0 sha256sum -z --";
  return {
    digest: shell(`${hashes} | tr '\\0' '\\n' | sha256sum`).split(" ")[0]!,
    files: Number(shell("find . -type f -printf x | wc -c")),
  };
}

export interface Inside {
  readonly inFlight: number;
  readonly waiting: number;
  readonly done: ReadonlySet<string>;
  readonly violations: readonly Violation[];
}

/** What the database says, without a worker touching it. */
export async function inside(database: string): Promise<Inside> {
  await using qudo = new Qudo({ databases: database });
  const lanes = await qudo.monitor.counts();
  const sum = (count: (lane: (typeof lanes)[number]) => number): number =>
    lanes.reduce((total, lane) => total + count(lane), 0);
  const done = new Set<string>();
  for await (const { result } of qudo.attempts.list({ states: ["done"] }))
    done.add(String((result as { path: unknown }).path));
  return {
    inFlight: sum((lane) => lane.reserved + lane.running),
    waiting: sum((lane) => lane.pending + lane.failed),
    done,
    violations: (await qudo.doctor()).violations,
  };
}

export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "qudo-faults-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

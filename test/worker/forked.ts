/** What the tests of prefork share: parents with children that leave a line in a file for all they do. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import { prefork, type Prefork, type PreforkOptions, type Qudo } from "../../src/index.js";
import { newDatabase, newPath, newQudo, silent, until } from "./support.js";

export const SCRIPT = fileURLToPath(new URL("fixtures/forked.mjs", import.meta.url));

const opened: Prefork[] = [];

afterEach(async () => {
  for (const children of opened.splice(0))
    await children.stop({ force: true }).catch(() => undefined);
});

export interface Line {
  readonly version: string;
  readonly pid: number;
  readonly what: "born" | "started" | "did" | "heard";
  readonly id: string;
}

export interface Scene {
  readonly qudo: Qudo;
  readonly children: Prefork;
  readonly log: readonly string[];
  lines(what?: Line["what"]): Line[];
  pids(): number[];
}

export interface Told {
  how?: "fails" | "never" | "deaf" | "lasts";
  worker?: object;
  version?: string;
}

/** `told`: what the program finds as its argument. */
export async function scene(
  options: Partial<PreforkOptions> = {},
  told: Told = {},
  start = true,
): Promise<Scene> {
  const url = newDatabase();
  const qudo = newQudo([], url);
  await qudo.migrate();
  const file = newPath();
  const logger = silent();
  const args = [JSON.stringify({ url, file, ...told })];
  const children = await prefork({ script: SCRIPT, args, signals: false, logger, ...options });
  opened.push(children);
  const lines = (what?: Line["what"]): Line[] =>
    (existsSync(file) ? readFileSync(file, "utf8") : "")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split(" "))
      .map(([version, pid, what, id]) => ({ version, pid: Number(pid), what, id }) as Line)
      .filter((line) => what === undefined || line.what === what);
  if (start) await allReady(children);
  return {
    qudo,
    children,
    log: logger.lines,
    lines,
    pids: () => children.figures.children.map(({ pid }) => pid),
  };
}

export async function allReady(children: Prefork): Promise<void> {
  await until("all are ready", () => children.figures.ready === children.figures.processes, 20_000);
}

export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export const kill = (pid: number, signal: NodeJS.Signals): void => void process.kill(pid, signal);

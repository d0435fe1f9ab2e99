/** Starts vitest within a test, as a run of its own: it knows nothing of the servers of the run around it. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const VITEST = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));
const CONFIG = fileURLToPath(new URL("fixtures/vitest.config.ts", import.meta.url));

export interface Run {
  readonly process: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
}

export function startRun(file: string, env: Record<string, string> = {}): Run {
  const around = /^(?:QUDO_TESTS?_|VITEST|CI$|NODE_OPTIONS$)/;
  const inherited = Object.entries(process.env).filter(([name]) => !around.test(name));
  const child = spawn(process.execPath, [VITEST, "run", "--config", CONFIG, file], {
    env: { ...Object.fromEntries(inherited), NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const ended = once(child, "exit").then(([code]) => ({ code: code as number | null, output }));
  return { process: child, ended };
}

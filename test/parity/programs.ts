/** The programs of examples/small, run as a person runs them: compiled, each a process of its own. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { until } from "./support.js";

const FOLDER = fileURLToPath(new URL("../../examples/small/dist/", import.meta.url));
if (!existsSync(FOLDER)) throw new Error(`${FOLDER} is not there: run npm run build first`);

export class Program implements AsyncDisposable {
  readonly ended: Promise<number | NodeJS.Signals>;
  private readonly child: ChildProcessByStdio<null, Readable, null>;
  private text = "";

  constructor(name: string, args: readonly string[], database: string) {
    this.child = spawn(process.execPath, [`${FOLDER}${name}.js`, ...args], {
      env: { ...process.env, QUDO_DATABASE: database },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.child.stdout.on("data", (data: Buffer) => (this.text += String(data)));
    this.ended = once(this.child, "close").then(
      ([code, signal]) => (code as number | null) ?? (signal as NodeJS.Signals),
    );
  }

  get lines(): string[] {
    return this.text.split("\n").filter((line) => line !== "");
  }

  /** Resolves when it has printed so many lines that are like this. */
  said(what: string | RegExp, times = 1): Promise<void> {
    const isIt = (line: string): boolean =>
      typeof what === "string" ? line.includes(what) : what.test(line);
    return until(`"${String(what)}"`, () => this.lines.filter(isIt).length >= times, 40_000);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }
}

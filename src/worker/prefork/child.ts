/**
 * One child of prefork. Its life: starting → ready → stopping → ended; it may leave by itself at any time.
 *
 *   starting   the program loads; its first worker opens a session
 *   ready      jobs can be claimed
 *   stopping   it was told to stop, or said that it leaves
 *   ended      its process is gone
 */
import { fork, type ChildProcess } from "node:child_process";
import { timerMs } from "../../core/duration.js";
import { NOTHING_DONE } from "../stats.js";
import type { PreforkSettings } from "./options.js";
import { isToParent, type ChildFigures, type ToChild } from "./wire.js";

export type ChildState = "starting" | "ready" | "stopping" | "ended";

/** How a child ended. */
export interface Ended {
  /** In words: "exit code 1", "SIGKILL". */
  readonly how: string;
  readonly code: number | null;
  /** It was told to, or said before that it leaves and then exited with 0. */
  readonly expected: boolean;
}

/** So long a child that is to end at once may take to give back what runs. */
const LAST_WORDS_MS = 2_000;

export class Child {
  state: ChildState = "starting";
  figures: ChildFigures = { stats: NOTHING_DONE, memory: 0 };
  readonly startedAt = new Date();
  /** When it was ready; null while it is not. Monotonic milliseconds. */
  readyAt: number | null = null;
  /** Resolves to false when it ends before it is ready. */
  readonly ready: Promise<boolean>;
  readonly ended: Promise<Ended>;
  private readonly process: ChildProcess;
  /** Its workers have said that they cannot work. */
  failed = false;
  private signedAt = performance.now();
  private told = false;
  private last: NodeJS.Timeout | undefined;

  /** `onChange` is called at each change of state but the last. */
  constructor(
    private readonly settings: PreforkSettings,
    private readonly onChange: (child: Child) => void,
  ) {
    this.process = fork(settings.script, [...settings.args], {
      env: { ...process.env, QUDO_PREFORK: `${process.pid} ${settings.maxJobs ?? 0}` },
      execArgv: process.execArgv.filter((flag) => !flag.startsWith("--inspect")),
    });
    let isReady!: (ready: boolean) => void;
    this.ready = new Promise((resolve) => (isReady = resolve));
    this.process.on("message", (message) => this.heard(message, isReady));
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, how: string): void => {
        clearTimeout(this.last);
        const left = this.state === "stopping" && !this.failed && code === 0;
        const expected = this.told || left;
        this.state = "ended";
        isReady(false);
        resolve({ how, code, expected });
      };
      this.process.once("exit", (code, signal) => end(code, signal ?? `exit code ${code}`));
      // It could not be started at all.
      this.process.once(
        "error",
        (error) => this.process.pid === undefined && end(1, error.message),
      );
    });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** How long ago it last gave a sign of life. */
  get silentMs(): number {
    return performance.now() - this.signedAt;
  }

  /** Lets it finish what it does, and kills it when it takes too long. */
  stop(): void {
    if (this.told || this.state === "ended") return;
    this.told = true;
    this.become("stopping");
    this.process.kill("SIGTERM");
    this.killIn(this.settings.stopMs);
  }

  /** It gives back what runs, and ends. One that does not listen is killed. */
  force(): void {
    if (this.state === "ended") return;
    this.told = true;
    this.become("stopping");
    const message: ToChild = { qudo: "force" };
    if (this.process.connected) this.process.send(message, () => undefined);
    this.killIn(LAST_WORDS_MS);
  }

  kill(): void {
    this.process.kill("SIGKILL");
  }

  private killIn(ms: number): void {
    clearTimeout(this.last);
    this.last = setTimeout(() => {
      this.settings.logger.warn(`qudo: child ${this.pid} did not end in time and is killed`);
      // One that left by itself, too: it is ours, and no crash.
      this.told = true;
      this.kill();
    }, timerMs(ms));
  }

  private heard(message: unknown, isReady: (ready: boolean) => void): void {
    if (!isToParent(message)) return;
    this.signedAt = performance.now();
    if (message.qudo === "sign") this.figures = message.figures;
    else if (message.qudo === "ready" && this.state === "starting") {
      this.readyAt = performance.now();
      this.become("ready");
      isReady(true);
    } else if ((message.qudo === "leaving" || message.qudo === "failed") && !this.told) {
      this.failed = message.qudo === "failed";
      this.become("stopping");
      // Whatever else is open in it must not keep it for ever.
      this.killIn(this.settings.stopMs);
    }
  }

  private become(state: ChildState): void {
    if (this.state === state || this.state === "ended") return;
    this.state = state;
    this.onChange(this);
  }
}

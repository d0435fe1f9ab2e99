/** Worker processes: started, started again when one dies, stopped at the end. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const WORKER = fileURLToPath(new URL("worker.js", import.meta.url));
/** More deaths than this are no accident. */
const MOST_RESTARTS = 20;

export class Pool {
  private readonly children = new Set<ChildProcess>();
  private stopping = false;
  private restarts = 0;
  /** Jobs finished by each worker process, told at its end. */
  readonly served: number[] = [];
  /** Rejects when workers keep dying. */
  readonly broken: Promise<never>;
  private break!: (error: Error) => void;

  constructor(
    private readonly database: string,
    private readonly queue: string,
  ) {
    this.broken = new Promise((_, reject) => (this.break = reject));
    this.broken.catch(() => undefined);
  }

  start(n: number): void {
    for (let i = 0; i < n; i++) this.add();
  }

  private add(): void {
    const child = fork(WORKER, [this.queue], {
      // Not as an argument: an address may hold a password, and arguments are everybody's to read.
      env: { ...process.env, QUDO_DATABASE: this.database },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.children.add(child);
    child.on("message", (message: { served: number }) => this.served.push(message.served));
    child.once("exit", (code, signal) => {
      this.children.delete(child);
      if (this.stopping) return;
      if (++this.restarts > MOST_RESTARTS)
        this.break(new Error(`worker processes keep ending (${signal ?? `code ${code}`})`));
      else this.add();
    });
  }

  async stop(): Promise<void> {
    this.stopping = true;
    const ends = Array.from(this.children, async (child) => {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    });
    await Promise.all(ends);
  }
}

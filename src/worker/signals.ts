/**
 * SIGTERM and SIGINT for a whole process: the first one stops its workers, a second one gives back what still runs and
 * ends the process at once. One listener for all workers, installed with the first and removed with the last.
 *
 * Where nobody else listens the process then ends by that very signal, as it would have without us, so that whoever
 * supervises it sees the right thing. Where the program listens itself, it decides: we only stop the workers.
 */

/** What a signal stops. */
export interface Stoppable {
  /** `exiting`: the process ends right after it. */
  stop(options: { exiting: boolean }): Promise<void>;
  /** Gives back what runs: the process ends now. `stop` resolves soon after. */
  force(): void;
}

const SIGNALS: readonly ("SIGINT" | "SIGTERM")[] = ["SIGINT", "SIGTERM"];
/** npm and npx pass Ctrl-C on to a process that the terminal has told already: within this time it is the same one. */
const SAME_MS = 300;
/** So long the second signal waits for the database to take back what ran. */
const LAST_WORDS_MS = 1_000;

class Signals {
  private readonly workers = new Set<Stoppable>();
  /** Only the supervisor says when it is to end at once; signals may come from several sides and all mean the same. */
  private supervised = false;
  private first: { signal: NodeJS.Signals; at: number; exiting: boolean } | null = null;

  add(worker: Stoppable): void {
    // Before the listeners that are there: one that listens only once would be gone, and not be counted.
    if (this.workers.size === 0)
      for (const signal of SIGNALS) process.prependListener(signal, this.told);
    this.workers.add(worker);
    if (this.first?.exiting === true) void this.stopped(worker);
  }

  remove(worker: Stoppable): void {
    if (!this.workers.delete(worker) || this.workers.size > 0) return;
    // The process is about to end: the listeners stay until then, or a further signal would cut that short.
    if (this.first?.exiting === true) return;
    this.first = null;
    this.unlisten();
  }

  private unlisten(): void {
    for (const signal of SIGNALS) process.removeListener(signal, this.told);
  }

  private readonly told = (signal: NodeJS.Signals): void => {
    const { first } = this;
    if (first === null) void this.stopAll(signal);
    else if (this.supervised) return;
    else if (signal !== first.signal || performance.now() - first.at > SAME_MS)
      this.forceAll(signal);
  };

  private async stopAll(signal: NodeJS.Signals): Promise<void> {
    const exiting = process.listenerCount(signal) === 1;
    this.first = { signal, at: performance.now(), exiting };
    await this.allStopped();
    if (exiting) this.end(signal);
  }

  supervise(): void {
    this.supervised = true;
  }

  /** What the supervisor wants of a process that does not end soon enough, or at all. */
  force(): void {
    this.first ??= { signal: "SIGTERM", at: performance.now(), exiting: true };
    this.endAll(this.first.signal);
  }

  private forceAll(signal: NodeJS.Signals): void {
    // Whoever listens besides us has heard it too, and decides.
    if (this.first?.exiting !== true || process.listenerCount(signal) > 1) return;
    this.endAll(signal);
  }

  private endAll(signal: NodeJS.Signals): void {
    for (const worker of this.workers) worker.force();
    setTimeout(() => this.end(signal), LAST_WORDS_MS);
  }

  private async allStopped(): Promise<void> {
    while (this.workers.size > 0)
      await Promise.all(Array.from(this.workers, (w) => this.stopped(w)));
  }

  /** One that failed has said so. */
  private async stopped(worker: Stoppable): Promise<void> {
    await worker.stop({ exiting: this.first?.exiting === true }).catch(() => undefined);
    this.remove(worker);
  }

  private end(signal: NodeJS.Signals): void {
    this.unlisten();
    process.kill(process.pid, signal);
  }
}

/** The process's own, also where a program has loaded this module twice: two would take each other for the user's listener. */
const KEY = Symbol.for("qudo.signals.1");
const shared = globalThis as { [KEY]?: Signals };

/** From now on only what is returned has the effect of a second signal, however often a signal comes. */
export function superviseSignals(): () => void {
  const signals = (shared[KEY] ??= new Signals());
  signals.supervise();
  return () => signals.force();
}

/** Stops this worker at a signal, from now on. Returns the way to leave it alone again. */
export function stopAtSignals(worker: Stoppable): () => void {
  const signals = (shared[KEY] ??= new Signals());
  signals.add(worker);
  return () => signals.remove(worker);
}

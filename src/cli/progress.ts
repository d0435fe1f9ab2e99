/** How far a long command is: one line on stderr that is written over, for a person at a terminal only. */
import { safe } from "./text.js";
import { brief } from "./when.js";

/** What ends sooner shows nothing. */
const AFTER_MS = 500;
const EVERY_MS = 100;

export class Progress implements Disposable {
  private readonly timer: NodeJS.Timeout | undefined;
  private shown = false;

  /** `text` is asked for again and again. Hidden where results scroll by on the same screen. */
  constructor(text: () => string, visible: "shown" | "hidden" = "shown") {
    if (process.stderr.isTTY !== true || visible === "hidden") return;
    const started = performance.now();
    this.timer = setInterval(() => {
      if (performance.now() - started >= AFTER_MS) this.write(text());
    }, EVERY_MS);
    this.timer.unref();
  }

  /** Takes the line away. */
  [Symbol.dispose](): void {
    clearInterval(this.timer);
    if (this.shown) process.stderr.write(CLEAR);
  }

  private write(text: string): void {
    this.shown = true;
    process.stderr.write(CLEAR + safe(text));
  }
}

/** Back to the beginning of the line, and all behind it away. */
const CLEAR = "\r\u001B[K";

/** Runs what may take long, and shows for how long it does: "compacting, for 3 s". */
export async function during<T>(what: string, run: () => Promise<T>): Promise<T> {
  const started = performance.now();
  using _ = new Progress(() => `${what}, for ${brief(performance.now() - started)}`);
  return await run();
}

/** Shows how far a run is, until all is enqueued and nothing is left. */
import type { Qudo } from "qudo";
import type { Enqueueing } from "./enqueue.js";
import { standing, type IndexRun } from "./run.js";
import type { Bar } from "./ui.js";

export interface Watched {
  readonly qudo: Qudo;
  readonly run: IndexRun;
  readonly work: Enqueueing;
  /** Jobs that had ended before this start, and its moment (monotonic). */
  readonly endedBefore: number;
  readonly started: number;
}

export async function watch(
  { qudo, run, work, endedBefore, started }: Watched,
  bar: Bar,
): Promise<void> {
  try {
    for (;;) {
      const asked = performance.now();
      // Read first: what is enqueued after it can only make the answer "not yet".
      const { finished } = work;
      const { left, ended } = await standing(qudo, run);
      const cost = performance.now() - asked;
      bar.draw({
        files: Math.max(work.files, left + ended),
        scanned: finished,
        done: ended,
        finishedNow: ended - endedBefore,
        seconds: (performance.now() - started) / 1_000,
      });
      if (finished && left === 0) return;
      // Counting takes its time with many files: never more than a sixth of all of it.
      await Promise.race([pause(Math.max(100, cost * 5)), failure(work.end)]);
    }
  } finally {
    bar.clear();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Never resolves; rejects when the promise does. */
function failure(promise: Promise<void>): Promise<never> {
  return new Promise((_, reject) => promise.catch(reject));
}

/** A job in the words that `list` and `show` share. */
import type { JobInfo } from "../client/info.js";
import type { JobState } from "../core/states.js";
import type { Paint, Painter } from "./output.js";
import { firstLine } from "./text.js";
import { brief, relative } from "./when.js";

/** "2/6": failed tries so far, of how many; "2/∞". */
export function tries({ fails, maxAttempts }: JobInfo): string {
  return `${fails}/${maxAttempts === -1 ? "∞" : maxAttempts}`;
}

/** What a person wants to know of its times, in short. */
export function when(job: JobInfo, now: number): string {
  const { state, last, startedAt, runAt } = job;
  if (state === "running" && startedAt !== null) return `for ${brief(now - startedAt.getTime())}`;
  if (state === "running" || state === "reserved") return "held";
  if (hasEnded(state)) return last === null ? "" : relative(last.endedAt, now);
  const late = now - runAt.getTime();
  return late < 1_000 ? relative(runAt, now) : `waits ${brief(late)}`;
}

export function hasEnded(state: JobState): boolean {
  return ["done", "abandoned", "cancelled", "moved"].includes(state);
}

/** The first line of what went wrong last; "" for a job that is well. */
export function lastError({ state, last }: JobInfo): string {
  if (last?.error == null || state === "done") return "";
  return firstLine(last.error);
}

export function statePaint(state: JobState, paint: Painter): Paint | undefined {
  const paints: Partial<Record<JobState, Paint>> = {
    failed: paint.yellow,
    abandoned: paint.red,
    running: paint.green,
    done: paint.dim,
    cancelled: paint.dim,
  };
  return paints[state];
}

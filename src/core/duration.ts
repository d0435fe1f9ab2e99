import { LIMITS } from "./defaults.js";
import { InvalidInputError } from "./errors.js";
import { show } from "./options.js";

/** A number of seconds, or text such as "250ms", "60s", "5m", "1h30m", "2d". */
export type Duration = number | string;

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
  ["w", 604_800_000],
]);
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/;
const PART = /(\d+(?:\.\d+)?)(ms|[smhdw])/g;

/**
 * Milliseconds of a duration, rounded to whole ones.
 * @throws InvalidInputError QUDO_INVALID_DURATION when it is no duration, negative, or past ten years.
 */
export function durationMs(value: Duration, what = "duration"): number {
  const ms = typeof value === "number" ? value * 1_000 : textMs(value);
  // Judged before it is rounded: a little less than nothing would round to −0, and pass.
  if (!(ms >= 0 && ms <= LIMITS.delayMs)) throw invalid(value, what);
  return Math.round(Math.abs(ms));
}

function textMs(text: unknown): number {
  if (typeof text !== "string" || !WHOLE.test(text)) return Number.NaN;
  let ms = 0;
  for (const [, number, unit] of text.matchAll(PART)) ms += Number(number) * UNIT_MS.get(unit!)!;
  return ms;
}

function invalid(value: unknown, what: string): InvalidInputError {
  return new InvalidInputError(
    "QUDO_INVALID_DURATION",
    `${what}: ${show(value)} is no duration. Give seconds as a number, or text such as "250ms", "60s", "5m", "1h30m", "2d"; between 0 and 10 years.`,
  );
}

/** A timer's delay that Node accepts: past 2³¹ − 1 ms it would fire at once. */
export function timerMs(ms: number): number {
  return Math.max(0, Math.min(ms, LIMITS.timerMs));
}

/** "1.2 s", "3 min 20 s": for people. */
export function humanDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3_600), Math.floor((whole % 3_600) / 60), whole % 60];
  return h > 0 ? `${h} h ${m} min` : `${m} min ${s} s`;
}

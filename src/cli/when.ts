/** Moments and times as people read them. */

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

/** A time in the largest unit of which it has about two: "3 d", "46 h", "90 s", "1 s", "0 s". */
export function brief(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms >= 1.95 * size) ?? UNITS.at(-1)!;
  return `${Math.round(Math.max(0, ms) / size)} ${unit}`;
}

/** "3 min ago", "in 2 h", "now". */
export function relative(at: Date, now: number): string {
  const ago = now - at.getTime();
  if (Math.abs(ago) < 1_000) return "now";
  return ago > 0 ? `${brief(ago)} ago` : `in ${brief(-ago)}`;
}

/** "2026-07-10 14:03:11 +02:00": in the time zone of this terminal. */
export function stamp(at: Date): string {
  const zone = -at.getTimezoneOffset();
  const offset = `${zone < 0 ? "-" : "+"}${two(Math.abs(zone) / 60)}:${two(Math.abs(zone) % 60)}`;
  return `${day(at)} ${clock(at)} ${offset}`;
}

/** "14:03:11.042" */
export function clockMs(at: Date): string {
  return `${clock(at)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

export function day(at: Date): string {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

function clock(at: Date): string {
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
}

function two(n: number): string {
  return String(Math.floor(n)).padStart(2, "0");
}

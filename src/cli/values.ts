/** Values of options as they are typed: durations, moments, whole numbers. */
import { durationMs, type Duration } from "../core/duration.js";
import { InvalidInputError } from "../core/errors.js";
import { checkInteger, show } from "../core/options.js";

/** "30" is 30 seconds, as the number is in the API. @throws InvalidInputError that names the option. */
export function duration(text: string, option: string): Duration {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  durationMs(value, option);
  return value;
}

/** @throws InvalidInputError that names the option. */
export function whole(text: string, option: string, min: number, max: number): number {
  return checkInteger(/^-?\d+$/.test(text) ? Number(text) : text, option, min, max);
}

/** Of an option that is given several times. */
export function again(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** Of an option that is given several times, or has several values with commas between. */
export function commas(text: string, before: string[] = []): string[] {
  return [...before, ...text.split(",").map((value) => value.trim())];
}

/** "0.5". @throws InvalidInputError that names the option. */
export function part(text: string, option: string): number {
  const value = /^(?:0?\.\d+|1(?:\.0+)?)$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 0.001) return value;
  throw invalid(option, `${show(text)} is no part of the time. Give a number from 0.001 to 1.`);
}

const DATE =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,3}))?)?)?\s?(Z|[+-]\d\d:?\d\d)?$/i;

const DATE_FORMS = '"2026-07-10", "2026-07-10 14:30" or "2026-07-10T14:30:00Z"';

/** ISO 8601; without a zone it is this terminal's. @throws InvalidInputError that names the option. */
export function moment(text: string, option: string): Date {
  const at = readDate(text);
  if (at === null) throw invalid(option, `${show(text)} is no date. Give ${DATE_FORMS}.`);
  return at;
}

/** A date, or a duration before now. @throws InvalidInputError that names the option. */
export function momentOrAgo(text: string, option: string): Date | Duration {
  const at = readDate(text);
  if (at !== null) return at;
  try {
    return duration(text, option);
  } catch {
    throw invalid(
      option,
      `${show(text)} is neither a time before now ("90s", "2h", "7d") nor a date (${DATE_FORMS}).`,
    );
  }
}

function readDate(text: string): Date | null {
  const [, date, minutes = "00:00", seconds = "00", fraction = "", zone = ""] =
    DATE.exec(text.trim()) ?? [];
  if (date === undefined) return null;
  // A day that a month does not have would become one of the next month.
  if (new Date(`${date}T00:00Z`).toJSON()?.startsWith(date) !== true) return null;
  const offset = zone.replace(/^([+-]\d\d):?(\d\d)$/, "$1:$2").toUpperCase();
  const at = new Date(`${date}T${minutes}:${seconds}.${fraction.padEnd(3, "0")}${offset}`);
  return Number.isNaN(at.getTime()) ? null : at;
}

export function invalid(option: string, message: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", `${option}: ${message}`);
}

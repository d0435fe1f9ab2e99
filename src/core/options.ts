/** Checks of what users hand in: names, numbers, and options that must be known. */
import { LIMITS } from "./defaults.js";
import { InvalidInputError } from "./errors.js";

const CONTROL = /\p{Cc}/u;

/** A queue's or kind's name: 1 to 128 characters, no control characters, no lone surrogates. */
export function checkName(value: unknown, what: string): string {
  if (
    typeof value !== "string" ||
    value.length === 0 ||
    value.length > LIMITS.nameLength ||
    CONTROL.test(value) ||
    !value.isWellFormed()
  )
    throw new InvalidInputError(
      "QUDO_INVALID_NAME",
      `${what} ${show(value)} cannot be used: give 1 to ${LIMITS.nameLength} characters without control characters.`,
    );
  return value;
}

export function checkInteger(value: unknown, what: string, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max)
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `${what} is ${show(value)}; give a whole number from ${min} to ${max}.`,
    );
  return value;
}

export function checkPriority(value: unknown): number {
  return checkInteger(value, "priority", -LIMITS.priority, LIMITS.priority);
}

/** −1 is "for ever". */
export function checkMaxAttempts(value: unknown): number {
  if (value === -1) return value;
  return checkInteger(value, "maxAttempts", 1, 1_000_000);
}

/** Milliseconds of a date. */
export function checkDate(value: unknown, what: string): number {
  const ms = value instanceof Date ? value.getTime() : Number.NaN;
  if (Number.isNaN(ms))
    throw new InvalidInputError("QUDO_INVALID_OPTION", `${what} is ${show(value)}; give a Date.`);
  return ms;
}

export function checkFlag(value: unknown, what: string): boolean {
  if (typeof value !== "boolean")
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `${what} is ${show(value)}; give true or false.`,
    );
  return value;
}

/** Where a list is to go on: what the page before gave as "next". */
export function checkCursor(value: unknown): string {
  if (typeof value === "string") return value;
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `after is ${show(value)}; give "next" of the page before as it is, or nothing to begin.`,
  );
}

export function checkSignal(value: unknown): AbortSignal {
  if (value instanceof AbortSignal) return value;
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `signal is ${show(value)}; give an AbortSignal.`,
  );
}

/** Refuses options nobody reads, naming those that exist, and what is no object of options. */
export function checkOptions(
  value: object | null | undefined,
  known: readonly string[],
  where: string,
): void {
  if (value !== undefined && (typeof value !== "object" || value === null || Array.isArray(value)))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `${where} takes its options as an object, not ${show(value)}. It knows: ${known.join(", ")}.`,
    );
  for (const key of Object.keys(value ?? {}))
    if (!known.includes(key))
      throw new InvalidInputError(
        "QUDO_UNKNOWN_OPTION",
        `${where} has no option ${show(key)}. It knows: ${known.join(", ")}.`,
      );
}

/**
 * A value as an error message shows it: short, for every value there is (BigInt, cycles, no prototype), and without the
 * passwords of addresses.
 */
export function show(value: unknown): string {
  const text = withoutCredentials(textOf(value));
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

const CREDENTIALS = /(?<=:\/\/)[^]*@|(?<=[?&]password=)[^&]+/gi;

/** Without user and password of an address, which may have been given in a wrong place. */
export function withoutCredentials(text: string): string {
  return text.replace(CREDENTIALS, (found) => (found.endsWith("@") ? "…@" : "…"));
}

function textOf(value: unknown): string {
  try {
    if (value instanceof Date) return "an invalid Date";
    return typeof value === "string" ? JSON.stringify(value) : String(value);
  } catch {
    return `a ${typeof value} that cannot be shown`;
  }
}

/**
 * JSON that arrives as it was sent. JSON.stringify alone drops functions, turns NaN into null and Maps into {};
 * here whatever would not survive is refused with the path to it. Results and errors are not refused for their
 * text: what databases cannot hold in it (NUL, lone surrogates) is replaced, so that a run can always end.
 */
import { LIMITS } from "./defaults.js";
import { InvalidInputError, QudoError, type ErrorCode } from "./errors.js";

/** Codec numbers as stored in `job.codec`. */
export const CODEC_JSON = 1;

/** What is asked of a value before it is written. */
interface Rules {
  readonly root: string;
  /** What happens to text that databases cannot hold. */
  readonly text: "refuse" | "replace";
  readonly code: ErrorCode;
  readonly maxBytes: number;
  readonly tooLarge: { readonly code: ErrorCode; readonly advice: string };
}

const PAYLOAD: Rules = {
  root: "payload",
  text: "refuse",
  code: "QUDO_INVALID_PAYLOAD",
  maxBytes: LIMITS.payloadBytes,
  tooLarge: {
    code: "QUDO_PAYLOAD_TOO_LARGE",
    advice: "Store the data elsewhere and enqueue its address.",
  },
};

const RESULT: Rules = {
  root: "result",
  text: "replace",
  code: "QUDO_INVALID_RESULT",
  maxBytes: LIMITS.resultBytes,
  tooLarge: { code: "QUDO_INVALID_RESULT", advice: "Return its address, not the data." },
};

const PROGRESS: Rules = {
  root: "progress",
  text: "replace",
  code: "QUDO_INVALID_OPTION",
  maxBytes: LIMITS.progressBytes,
  tooLarge: { code: "QUDO_INVALID_OPTION", advice: "Say less: a number, a few words." },
};

/**
 * Text of a payload. `undefined` becomes null; properties that are undefined are left out, as in JSON.
 * @throws InvalidInputError QUDO_INVALID_PAYLOAD with the path, or QUDO_PAYLOAD_TOO_LARGE past 1 MiB.
 */
export function encodePayload(value: unknown): string {
  return encode(value, PAYLOAD);
}

/**
 * Text of a handler's result, null for none.
 * @throws InvalidInputError QUDO_INVALID_RESULT when it cannot be stored.
 */
export function encodeResult(value: unknown): string | null {
  return value === undefined ? null : encode(value, RESULT);
}

/**
 * Text of what a handler says of its progress.
 * @throws InvalidInputError QUDO_INVALID_OPTION when it cannot be stored.
 */
export function encodeProgress(value: unknown): string {
  return encode(value, PROGRESS);
}

export function decode(text: string): unknown {
  return JSON.parse(text);
}

/**
 * What is kept of an error: its stack (which begins with name and message) and code, at most 8 KiB. `mask` comes before
 * anything is cut off, so that no half of a secret stays.
 */
export function encodeError(error: unknown, mask: Mask = (text) => text): string {
  return storable(mask(describeError(error)), LIMITS.errorBytes);
}

/** What is kept of a line of a handler's log: at most 8 KiB. */
export function encodeLine(message: unknown, mask: Mask = (text) => text): string {
  const text = typeof message === "string" ? message : describeError(message, "");
  return storable(mask(text), LIMITS.logLineBytes);
}

export type Mask = (text: string) => string;

/** Text that every database holds. */
function storable(text: string, maxBytes: number): string {
  return truncateUtf8(replaceUnstorable(text), maxBytes);
}

function describeError(error: unknown, otherwise = "Thrown: "): string {
  try {
    if (!isError(error)) return `${otherwise}${safeString(error)}`;
    const head = `${error.name}: ${error.message}`;
    const stack = typeof error.stack === "string" ? error.stack : head;
    const code = "code" in error && typeof error.code === "string" ? ` [${error.code}]` : "";
    const text = stack.startsWith(head) ? stack : `${head}\n${stack}`;
    return code === "" ? text : text.replace(head, () => `${head}${code}`);
  } catch {
    return "An error that cannot be read.";
  }
}

/** Also one from another realm (`vm`, Jest), which is no instance of the Error here. */
function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

function safeString(value: unknown): string {
  return typeof value === "object" && value !== null
    ? (JSON.stringify(value) ?? String(value))
    : String(value);
}

function truncateUtf8(text: string, max: number): string {
  if (Buffer.byteLength(text) <= max) return text;
  const cut = Buffer.from(text)
    .subarray(0, max - 3)
    .toString("utf8");
  return `${cut.replace(/\ufffd+$/, "")}…`;
}

function replaceUnstorable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}

function encode(value: unknown, rules: Rules): string {
  const text = JSON.stringify(plain(value, rules));
  if (Buffer.byteLength(text) > rules.maxBytes) throw tooLarge(rules);
  return text;
}

function plain(value: unknown, rules: Rules): unknown {
  try {
    return new Check(rules).plain(value ?? null, rules.root, 0);
  } catch (cause) {
    if (cause instanceof QudoError) throw cause;
    // A getter, a toJSON or a proxy of the caller's own threw.
    throw new InvalidInputError(rules.code, `The ${rules.root} cannot be read; see the cause.`, {
      cause,
    });
  }
}

function tooLarge({ root, maxBytes, tooLarge: { code, advice } }: Rules): InvalidInputError {
  return new InvalidInputError(code, `The ${root} is larger than ${maxBytes} bytes. ${advice}`);
}

class Check {
  private readonly open = new Set<object>();
  private room: number;
  constructor(private readonly rules: Rules) {
    this.room = rules.maxBytes;
  }

  /** A copy that JSON.stringify writes as it is. */
  plain(value: unknown, path: string, depth: number): unknown {
    switch (typeof value) {
      case "string":
        return this.string(value, path);
      case "number":
        this.spend(1);
        if (Number.isFinite(value)) return value;
        throw this.refuse(path, `${value} has no form in JSON`);
      case "boolean":
        this.spend(1);
        return value;
      case "object":
        if (value !== null) return this.object(value, path, depth);
        this.spend(1);
        return null;
      default:
        throw this.refuse(path, `a ${typeof value} has no form in JSON`);
    }
  }

  /**
   * A value is at least one byte of JSON, a text at least one for each of its characters: what exceeds the limit is
   * refused before it is written. (Forty arrays that hold one another twice would be written 2⁴⁰ times.)
   */
  private spend(bytes: number): void {
    this.room -= bytes;
    if (this.room < 0) throw tooLarge(this.rules);
  }

  private string(value: string, path: string): string {
    this.spend(value.length);
    if (value.isWellFormed() && !value.includes("\0")) return value;
    if (this.rules.text === "replace") return replaceUnstorable(value);
    throw this.refuse(path, "the text holds a NUL or half a surrogate pair");
  }

  private object(value: object, path: string, depth: number): unknown {
    if (depth >= LIMITS.depth) throw this.refuse(path, `nested deeper than ${LIMITS.depth}`);
    if (this.open.has(value)) throw this.refuse(path, "it refers back to itself");
    this.open.add(value);
    const plain = Array.isArray(value)
      ? this.array(value, path, depth)
      : this.record(value, path, depth);
    this.open.delete(value);
    return plain;
  }

  private array(value: unknown[], path: string, depth: number): unknown[] {
    this.spend(1);
    return Array.from(value, (item, i) => this.plain(item, `${path}[${i}]`, depth + 1));
  }

  private record(value: object, path: string, depth: number): unknown {
    if (value instanceof Date && Number.isNaN(value.getTime()))
      throw this.refuse(path, "an invalid Date");
    if ("toJSON" in value && typeof value.toJSON === "function")
      return this.plain(value.toJSON(""), path, depth + 1);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
      throw this.refuse(path, `a ${value.constructor?.name || "class"} has no form in JSON`);
    this.spend(1);
    const out: Record<string, unknown> = Object.create(null);
    for (const [key, item] of Object.entries(value)) {
      const where = `${path}.${key}`;
      if (item !== undefined) out[this.string(key, where)] = this.plain(item, where, depth + 1);
    }
    return out;
  }

  private refuse(path: string, why: string): QudoError {
    const at = path.length > 200 ? `${path.slice(0, 200)}…` : path;
    return new InvalidInputError(this.rules.code, `${replaceUnstorable(at)}: ${why}.`);
  }
}

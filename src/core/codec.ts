/**
 * JSON that arrives as it was sent. JSON.stringify alone drops functions, turns NaN into null and Maps into {};
 * here whatever would not survive is refused with the path to it. Results and errors are not refused for their
 * text: what databases cannot hold in it (NUL, lone surrogates) is replaced, so that a run can always end.
 */
import { LIMITS } from "./defaults.js";
import { InvalidInputError, QudoError, type ErrorCode } from "./errors.js";

/** Codec numbers as stored in `job.codec`. */
export const CODEC_JSON = 1;

type Text = "refuse" | "replace";

/**
 * Text of a payload. `undefined` becomes null; properties that are undefined are left out, as in JSON.
 * @throws InvalidInputError QUDO_INVALID_PAYLOAD with the path, or QUDO_PAYLOAD_TOO_LARGE past 1 MiB.
 */
export function encodePayload(value: unknown): string {
  const text = encode(value, "refuse", "QUDO_INVALID_PAYLOAD", "payload");
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.payloadBytes)
    throw new InvalidInputError(
      "QUDO_PAYLOAD_TOO_LARGE",
      `The payload is ${bytes} bytes; at most ${LIMITS.payloadBytes} are taken. Store the data elsewhere and enqueue its address.`,
    );
  return text;
}

/**
 * Text of a handler's result, null for none.
 * @throws InvalidInputError QUDO_INVALID_RESULT when it cannot be stored.
 */
export function encodeResult(value: unknown): string | null {
  if (value === undefined) return null;
  const text = encode(value, "replace", "QUDO_INVALID_RESULT", "result");
  if (Buffer.byteLength(text) > LIMITS.resultBytes)
    throw new InvalidInputError(
      "QUDO_INVALID_RESULT",
      `The result is larger than ${LIMITS.resultBytes} bytes. Return its address, not the data.`,
    );
  return text;
}

export function decode(text: string): unknown {
  return JSON.parse(text);
}

/** What is kept of an error: its stack (which begins with name and message) and code, at most 8 KiB. */
export function encodeError(error: unknown): string {
  return truncateUtf8(replaceUnstorable(describeError(error)), LIMITS.errorBytes);
}

function describeError(error: unknown): string {
  try {
    if (!(error instanceof Error)) return `Thrown: ${safeString(error)}`;
    const head = `${error.name}: ${error.message}`;
    const stack = typeof error.stack === "string" ? error.stack : head;
    const code = "code" in error && typeof error.code === "string" ? ` [${error.code}]` : "";
    const text = stack.startsWith(head) ? stack : `${head}\n${stack}`;
    return code === "" ? text : text.replace(head, () => `${head}${code}`);
  } catch {
    return "An error that cannot be read.";
  }
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

function encode(value: unknown, text: Text, code: ErrorCode, root: string): string {
  const check = new Check(text, code);
  return JSON.stringify(check.plain(value ?? null, root, 0));
}

class Check {
  private readonly open = new Set<object>();
  constructor(
    private readonly text: Text,
    private readonly code: ErrorCode,
  ) {}

  /** A copy that JSON.stringify writes as it is. */
  plain(value: unknown, path: string, depth: number): unknown {
    switch (typeof value) {
      case "string":
        return this.string(value, path);
      case "number":
        if (Number.isFinite(value)) return value;
        throw this.refuse(path, `${value} has no form in JSON`);
      case "boolean":
        return value;
      case "object":
        return value === null ? null : this.object(value, path, depth);
      default:
        throw this.refuse(path, `a ${typeof value} has no form in JSON`);
    }
  }

  private string(value: string, path: string): string {
    if (value.isWellFormed() && !value.includes("\0")) return value;
    if (this.text === "replace") return replaceUnstorable(value);
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
    const out: Record<string, unknown> = Object.create(null);
    for (const [key, item] of Object.entries(value)) {
      const where = `${path}.${key}`;
      if (item !== undefined) out[this.string(key, where)] = this.plain(item, where, depth + 1);
    }
    return out;
  }

  private refuse(path: string, why: string): QudoError {
    const at = path.length > 200 ? `${path.slice(0, 200)}…` : path;
    return new InvalidInputError(this.code, `${replaceUnstorable(at)}: ${why}.`);
  }
}

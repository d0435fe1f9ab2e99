/**
 * JSON that arrives as it was sent. JSON.stringify alone drops functions, turns NaN into null and Maps into {};
 * here whatever would not survive is refused with the path to it. Results and errors are not refused for their
 * text: what databases cannot hold in it (NUL, lone surrogates) is replaced, so that a run can always end.
 */
import { LIMITS } from "./defaults.js";
import { InvalidInputError, QudoError } from "./errors.js";
import { Check, JSON_FORM, replaceUnstorable, tooLarge, type Rules } from "./plain.js";

/** Codec numbers as stored in `job.codec`. */
export const CODEC_JSON = 1;

/** Of payloads. */
export const PAYLOAD: Rules = {
  form: JSON_FORM,
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
  form: JSON_FORM,
  root: "result",
  text: "replace",
  code: "QUDO_INVALID_RESULT",
  maxBytes: LIMITS.resultBytes,
  tooLarge: { code: "QUDO_INVALID_RESULT", advice: "Return its address, not the data." },
};

const PROGRESS: Rules = {
  form: JSON_FORM,
  root: "progress",
  text: "replace",
  code: "QUDO_INVALID_OPTION",
  maxBytes: LIMITS.progressBytes,
  tooLarge: { code: "QUDO_INVALID_OPTION", advice: "Say less: a number, a few words." },
};

/**
 * Text of a payload. `undefined` becomes null; properties that are undefined are left out, as in JSON.
 * @throws InvalidInputError QUDO_INVALID_PAYLOAD with the path, or QUDO_PAYLOAD_TOO_LARGE past `maxBytes`, 1 MiB.
 */
export function encodePayload(value: unknown, maxBytes: number = LIMITS.payloadBytes): string {
  return encode(value, maxBytes === PAYLOAD.maxBytes ? PAYLOAD : { ...PAYLOAD, maxBytes });
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

function encode(value: unknown, rules: Rules): string {
  const text = JSON.stringify(plain(value, rules));
  if (Buffer.byteLength(text) > rules.maxBytes) throw tooLarge(rules);
  return text;
}

/** A copy that is written as it is. @throws InvalidInputError with the path to what cannot be. */
export function plain(value: unknown, rules: Rules): unknown {
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

/**
 * How payloads become what a database holds, and again what handlers are given. The number of the serializer is stored with
 * each row, so that rows stay readable when a kind, or a whole queue, changes over to another one.
 */
import { CODEC_JSON, decode, encodePayload } from "./codec.js";
import { LIMITS } from "./defaults.js";
import { InvalidInputError, QudoError } from "./errors.js";
import { checkName, show } from "./options.js";

/** Whose payload it is. */
export interface SerializedJob {
  readonly kind: string;
}

/**
 * Writes payloads and reads them back. It answers at once, because jobs are also enqueued by those who cannot wait; what must
 * wait (a key from elsewhere, a payload stored elsewhere) belongs into the hooks `serialize` and `deserialize`.
 */
export interface Serializer {
  /** For messages. */
  readonly name: string;
  /** Stored with each row. 1 to 99 are qudo's; take one from 100 to 32,767 and never change it. */
  readonly codec: number;
  /** Text or bytes, at most 1 MiB. What it throws refuses the job. */
  serialize(payload: unknown, job: SerializedJob): string | Uint8Array;
  /** Is given what it wrote. What it throws fails the run of that one job. */
  deserialize(stored: string | Uint8Array, job: SerializedJob): unknown;
}

/** A payload as it is stored: text or bytes, one of them null. */
export interface Packed {
  readonly codec: number;
  readonly text: string | null;
  readonly bin: Uint8Array | null;
}

/** Numbers of others begin here. */
const FIRST_FREE = 100;
const LAST = 32_767;

/** Payloads as JSON: refuses, with the path, whatever would not arrive as it was sent. The default. */
export const json: Serializer = Object.freeze({
  name: "json",
  codec: CODEC_JSON,
  serialize: (payload: unknown) => encodePayload(payload),
  deserialize: (stored: string | Uint8Array) => decode(textOf(stored)),
});

const KNOWN = ["name", "codec", "serialize", "deserialize"] as const;

/** @throws InvalidInputError for what is no serializer, or has a number that is not its own. */
export function checkSerializer(value: unknown, where: string): Serializer {
  const { name, codec, serialize, deserialize } = (value ?? {}) as Partial<Serializer>;
  if (typeof serialize !== "function" || typeof deserialize !== "function")
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `${where} takes a serializer, an object with ${KNOWN.join(", ")}, not ${show(value)}.`,
    );
  checkName(name, `${where}: the serializer's name`);
  if (!Number.isInteger(codec) || codec! < 1 || codec! > LAST)
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `The serializer ${show(name)} has the number (codec) ${show(codec)}; give a whole number from ${FIRST_FREE} to ${LAST}.`,
    );
  return value as Serializer;
}

/** Serializers of one Qudo by their numbers: whatever any of them wrote can be read. */
export class Serializers {
  private readonly byCodec = new Map<number, Serializer>();

  /**
   * `own` are those of the package, whose numbers are theirs alone.
   * @throws InvalidInputError QUDO_SERIALIZER_CLASH.
   */
  constructor(
    private readonly own: readonly Serializer[] = [json],
    /** For kinds that name none. */
    private readonly standard: Serializer = json,
    others: readonly Serializer[] = [],
  ) {
    for (const serializer of [...own, standard, ...others]) this.learn(serializer);
  }

  /** Reads what it wrote from now on. @throws InvalidInputError QUDO_SERIALIZER_CLASH. */
  learn(serializer: Serializer): void {
    const { name, codec } = serializer;
    const known = this.byCodec.get(codec);
    if (known === serializer) return;
    if (known !== undefined)
      throw new InvalidInputError(
        "QUDO_SERIALIZER_CLASH",
        `Two serializers have the number ${codec}: ${show(known.name)} and ${show(name)}. ${advice(known, name)}`,
      );
    if (codec < FIRST_FREE && !this.own.includes(serializer))
      throw new InvalidInputError(
        "QUDO_SERIALIZER_CLASH",
        `The serializer ${show(name)} has the number ${codec}; those below ${FIRST_FREE} are qudo's own. Take one from ${FIRST_FREE} to ${LAST}.`,
      );
    this.byCodec.set(codec, serializer);
  }

  /**
   * A payload as it is stored.
   * @throws InvalidInputError QUDO_INVALID_PAYLOAD or QUDO_PAYLOAD_TOO_LARGE.
   */
  pack(
    payload: unknown,
    job: SerializedJob,
    own: Serializer | null | undefined,
    most: number = LIMITS.payloadBytes,
  ): Packed {
    const serializer = own ?? this.standard;
    if (serializer === json)
      return { codec: CODEC_JSON, text: encodePayload(payload, most), bin: null };
    this.learn(serializer);
    return packed(serializer, written(serializer, payload, job), most);
  }

  /** What was packed. @throws QudoError QUDO_PAYLOAD_UNREADABLE, which shows nothing of it. */
  unpack({ codec, text, bin }: Packed, job: SerializedJob): unknown {
    const serializer = this.byCodec.get(codec);
    // A copy: clients of servers answer with Buffers, which are parts of what came over the wire.
    const stored = text ?? (bin === null ? null : new Uint8Array(bin));
    if (serializer === undefined) throw unknownCodec(codec);
    if (stored === null) throw unreadable(serializer, "there is nothing");
    try {
      return serializer.deserialize(stored, job);
    } catch (error) {
      if (error instanceof QudoError) throw error;
      // What JSON.parse says shows what stands there; others' words are for those who catch them.
      if (serializer === json) throw unreadable(serializer, "it is no JSON");
      throw unreadable(serializer, `it threw a ${nameOf(error)}`, error);
    }
  }
}

/** How much of a statement it takes, in bytes. */
export function packedBytes({ text, bin }: Packed): number {
  return text === null ? (bin?.byteLength ?? 0) : Buffer.byteLength(text);
}

function written(
  serializer: Serializer,
  payload: unknown,
  job: SerializedJob,
): string | Uint8Array {
  try {
    return serializer.serialize(payload, job);
  } catch (cause) {
    if (cause instanceof QudoError) throw cause;
    throw new InvalidInputError(
      "QUDO_INVALID_PAYLOAD",
      `The serializer ${show(serializer.name)} cannot write the payload of ${show(job.kind)}: it threw a ${nameOf(cause)}; see the cause.`,
      { cause },
    );
  }
}

function packed(serializer: Serializer, stored: unknown, most: number): Packed {
  const { name, codec } = serializer;
  const isText = typeof stored === "string";
  if (!isText && !(stored instanceof Uint8Array))
    throw new InvalidInputError(
      "QUDO_INVALID_PAYLOAD",
      `The serializer ${show(name)} answered with a ${typeof stored}. It must return text or a Uint8Array, at once.`,
    );
  if (isText && (!stored.isWellFormed() || stored.includes("\0")))
    throw new InvalidInputError(
      "QUDO_INVALID_PAYLOAD",
      `The serializer ${show(name)} returned a text that holds a NUL or half a surrogate pair. Let it return bytes.`,
    );
  // A copy: what it returned may be a part of something larger, or be used again.
  const whole = isText
    ? { codec, text: stored, bin: null }
    : { codec, text: null, bin: new Uint8Array(stored) };
  if (packedBytes(whole) <= most) return whole;
  throw new InvalidInputError(
    "QUDO_PAYLOAD_TOO_LARGE",
    `The payload is larger than ${most} bytes as ${show(name)} writes it. Store the data elsewhere and enqueue its address.`,
  );
}

function textOf(stored: string | Uint8Array): string {
  if (typeof stored === "string") return stored;
  throw new QudoError(
    "QUDO_PAYLOAD_UNREADABLE",
    "The stored payload cannot be read: there are bytes where JSON should be.",
  );
}

function unreadable(serializer: Serializer, why: string, cause?: unknown): QudoError {
  return new QudoError(
    "QUDO_PAYLOAD_UNREADABLE",
    `The stored payload cannot be read by the serializer ${show(serializer.name)}: ${why}.`,
    cause === undefined ? undefined : { cause },
  );
}

function unknownCodec(codec: number): QudoError {
  const whose =
    codec < FIRST_FREE
      ? "Was it written by a newer qudo?"
      : "Give it to the job as `serializer`, or to new Qudo in `serializers`.";
  return new QudoError(
    "QUDO_PAYLOAD_UNREADABLE",
    `The stored payload was written by a serializer with the number ${codec}, which is not known here. ${whose}`,
  );
}

function advice({ name }: Serializer, other: string): string {
  return name === other
    ? "Make it once, and give the same one to all."
    : "One of them must take another number.";
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

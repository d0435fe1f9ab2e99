/** Payloads as MessagePack, through the package `@msgpack/msgpack`, which is loaded when it is first needed. */
import { createRequire } from "node:module";
import { plain, PAYLOAD } from "../core/codec.js";
import { QudoError } from "../core/errors.js";
import type { Form, Rules } from "../core/plain.js";
import type { Serializer } from "../core/serializer.js";

const PACKAGE = "@msgpack/msgpack";

/** What is used of the package. */
interface MessagePack {
  encode(value: unknown, options: { useBigInt64: true }): Uint8Array;
  decode(bytes: Uint8Array, options: { useBigInt64: true }): unknown;
}

/** The package would write a Map as {} and cut a larger BigInt off; what it cannot carry is refused before. */
const FORM: Form = {
  name: "MessagePack",
  carries(value) {
    if (typeof value === "bigint") return BigInt.asIntN(64, value) === value ? 9 : null;
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : 10;
    return value instanceof Uint8Array ? value.byteLength : null;
  },
  anyNumber: true,
  anyText: true,
  // Its decoder refuses it.
  refusesProto: true,
};

/** How large it is is seen when it is written; here only what is much too large is stopped. */
const RULES: Rules = { ...PAYLOAD, form: FORM, maxBytes: 64 * PAYLOAD.maxBytes };

const OPTIONS = { useBigInt64: true } as const;

/** One for all, so that its number is never in use twice. */
const serializer: Serializer = Object.freeze({
  name: "messagePack",
  codec: 3,
  serialize: (payload: unknown) => library().encode(plain(payload, RULES), OPTIONS),
  deserialize: (stored: string | Uint8Array) => library().decode(stored as Uint8Array, OPTIONS),
});

/**
 * Payloads as MessagePack: smaller than JSON, and readable from many languages. It carries what JSON does, and bytes, Dates and
 * BigInts of 64 bits; anything else is refused with the path to it.
 * @throws QudoError QUDO_PACKAGE_MISSING where `@msgpack/msgpack` is not installed.
 */
export function messagePack(): Serializer {
  library();
  return serializer;
}

/** The same for whoever only has to be able to read: the package is missed when a payload needs it. */
export const messagePackIfNeeded = serializer;

let loaded: MessagePack | null = null;

function library(): MessagePack {
  loaded ??= load();
  return loaded;
}

function load(): MessagePack {
  try {
    return createRequire(import.meta.url)(PACKAGE) as MessagePack;
  } catch (cause) {
    throw new QudoError(
      "QUDO_PACKAGE_MISSING",
      `Payloads as MessagePack need a package. Run: npm install ${PACKAGE}@3`,
      { cause },
    );
  }
}

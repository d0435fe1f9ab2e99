/** Layout of ids: UUIDs, 16 bytes in the database, text outside. Identity and locality only, never read as time. */
import { createHash } from "node:crypto";
import { InvalidInputError } from "./errors.js";
import { show } from "./options.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(value: unknown): value is string {
  return typeof value === "string" && UUID.test(value);
}

/**
 * The 16 bytes of a UUID.
 * @throws InvalidInputError QUDO_INVALID_ID. (Buffer alone would drop whatever follows the last good digit.)
 */
export function idBytes(id: string): Buffer {
  if (!isUuid(id)) throw invalidId(id);
  return Buffer.from(id.replaceAll("-", ""), "hex");
}

/** The text of 16 bytes. */
export function idText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** UUIDv7 of a time, a counter within that millisecond (12 bits) and 8 random bytes (RFC 9562, 5.7). */
export function layoutV7(unixMs: number, counter: number, random: Uint8Array): string {
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeUIntBE(unixMs, 0, 6);
  bytes.writeUInt16BE(0x7000 | (counter & 0x0fff), 6);
  bytes.set(random.subarray(0, 8), 8);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return idText(bytes);
}

/**
 * The id that belongs to a name: the same parts give the same id, everywhere and always, so that enqueueing
 * the same thing twice is one job. Parts are text or bytes. (UUIDv8 of a SHA-256, RFC 9562, 5.8.)
 * @throws InvalidInputError QUDO_INVALID_ID for no parts, or one that is neither; halves of surrogate pairs would all be one.
 */
export function idFromName(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  if (parts.length === 0 || !parts.every(isNamePart))
    throw new InvalidInputError(
      "QUDO_INVALID_ID",
      `idFromName takes texts or bytes, at least one, not (${parts.map(show).join(", ")}).`,
    );
  for (const part of parts) {
    const bytes = typeof part === "string" ? Buffer.from(part, "utf8") : part;
    hash.update(`${bytes.length}:`).update(bytes);
  }
  const bytes = hash.digest().subarray(0, 16);
  bytes[6] = 0x80 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return idText(bytes);
}

function isNamePart(part: unknown): boolean {
  return typeof part === "string" ? part.isWellFormed() : part instanceof Uint8Array;
}

/** SHA-256 of (kind, NUL, key): what the unique index holds. */
export function uniqueHash(kind: string, key: string): Buffer {
  return createHash("sha256").update(kind).update("\0").update(key).digest();
}

export function invalidId(id: unknown): InvalidInputError {
  return new InvalidInputError(
    "QUDO_INVALID_ID",
    `${show(id)} is no job id. An id is a UUID; idFromName("…") makes one from any name.`,
  );
}

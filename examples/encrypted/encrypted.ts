/**
 * A serializer of one's own: payloads are encrypted with AES-256-GCM before they leave the process. Each row says which key it was
 * written with, so that keys can be changed while jobs wait.
 *
 *   1 byte version · 1 byte length of the key's id · the key's id · 12 bytes nonce · 16 bytes tag · the rest: JSON, encrypted
 *
 * All before the nonce, and the kind of the job, are authenticated: a row that was changed, or moved to another kind, cannot be read. The
 * job's id is not among it: a failed job that is enqueued again as a new one keeps its payload.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Serializer } from "qudo";

const VERSION = 1;
const NONCE = 12;
const TAG = 16;
const ALGORITHM = "aes-256-gcm";

export interface Keys {
  /** 32 bytes each, by their ids. Keep old ones for as long as rows are there that they encrypted. */
  readonly all: ReadonlyMap<string, Uint8Array>;
  /** The id of the one that encrypts from now on. */
  readonly current: string;
}

/** `codec`: a number from 100 on that no other serializer of yours has. Make it once, and share it. */
export function encrypted(keys: Keys, codec = 1_000): Serializer {
  // Now, and not when the first job is enqueued.
  keyOf(keys, keys.current);
  return {
    name: "encrypted",
    codec,
    serialize(payload, { kind }) {
      const head = headOf(keys.current);
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv(ALGORITHM, keyOf(keys, keys.current), nonce);
      cipher.setAAD(authenticated(head, kind));
      // What JSON leaves out without a word is not refused here: a schema, or qudo's own json, is there for that.
      const text = JSON.stringify(payload ?? null);
      const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
      return Buffer.concat([head, nonce, cipher.getAuthTag(), body]);
    },
    deserialize(stored, { kind }) {
      const row = Buffer.from(stored as Uint8Array);
      const head = row.subarray(0, 2 + (row[1] ?? 0));
      if (head[0] !== VERSION) throw new Error("This row is of no known version.");
      const [nonceAt, tagAt] = [head.length, head.length + NONCE];
      const bodyAt = tagAt + TAG;
      const key = keyOf(keys, head.subarray(2).toString("utf8"));
      const nonce = row.subarray(nonceAt, tagAt);
      const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG });
      decipher.setAAD(authenticated(head, kind));
      decipher.setAuthTag(row.subarray(tagAt, bodyAt));
      // final() throws where anything was changed: before it nothing of the text is looked at.
      const text = Buffer.concat([decipher.update(row.subarray(bodyAt)), decipher.final()]);
      return JSON.parse(text.toString("utf8")) as unknown;
    },
  };
}

function headOf(key: string): Buffer {
  const id = Buffer.from(key, "utf8");
  return Buffer.concat([Buffer.from([VERSION, id.length]), id]);
}

function authenticated(head: Uint8Array, kind: string): Buffer {
  return Buffer.concat([head, Buffer.from(kind, "utf8")]);
}

/** Ids of keys are no secrets; keys are never part of a message. */
function keyOf({ all }: Keys, id: string): Uint8Array {
  const key = all.get(id);
  if (key === undefined) throw new Error(`There is no key ${JSON.stringify(id)}.`);
  if (key.byteLength !== 32) throw new Error(`The key ${JSON.stringify(id)} has not 32 bytes.`);
  if (Buffer.byteLength(id) > 255) throw new Error("The id of a key is longer than 255 bytes.");
  return key;
}

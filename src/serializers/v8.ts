/** Payloads as V8's structured clone: what JSON cannot carry, for programs that are all Node. */
import { deserialize, serialize } from "node:v8";
import type { Serializer } from "../core/serializer.js";

/**
 * Payloads as Node itself copies values: Map, Set, Date, BigInt, typed arrays, undefined and values that refer back to
 * themselves arrive as they were sent; objects of classes arrive as plain ones, functions are refused. A newer Node reads
 * what an older one wrote, but not always the other way round: upgrade workers before producers.
 */
export const v8: Serializer = Object.freeze({
  name: "v8",
  codec: 2,
  serialize: (payload: unknown) => serialize(payload),
  deserialize: (stored: string | Uint8Array) => deserialize(stored as Uint8Array),
});

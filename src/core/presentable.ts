/** Values that JSON has no form for, in the form in which people are shown them: payloads are not all JSON. */
import { LIMITS } from "./defaults.js";

/** As many as fit into a payload as JSON, three bytes each. Forty lists that hold one another twice have 2⁴⁰ places. */
const MOST = Math.ceil(LIMITS.payloadBytes / 3);
const DEEPEST = 1_000;

/**
 * A copy that JSON can write, whatever the value is: a Map as an object or as pairs, a Set as a list, a Date and a BigInt as text, bytes as
 * their number. JSON values come back as they are.
 */
export function presentable(value: unknown): unknown {
  return new Copy().of(value, 0);
}

class Copy {
  private readonly open = new Set<object>();
  private room = MOST;

  of(value: unknown, depth: number): unknown {
    if (typeof value === "number" && !Number.isFinite(value)) return String(value);
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "function" || typeof value === "symbol") return `[${typeof value}]`;
    if (typeof value !== "object" || value === null) return value;
    if (this.open.has(value)) return "[refers back to itself]";
    if (this.room-- <= 0 || depth > DEEPEST) return "[more]";
    this.open.add(value);
    const copy = this.object(value, depth + 1);
    this.open.delete(value);
    return copy;
  }

  private object(value: object, depth: number): unknown {
    const items = (list: Iterable<unknown>): unknown[] =>
      Array.from(list, (item) => this.of(item, depth));
    const entries = (pairs: Iterable<readonly [string, unknown]>): unknown =>
      Object.fromEntries(Array.from(pairs, ([key, item]) => [key, this.of(item, depth)]));
    if (Array.isArray(value)) return items(value);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
    if (value instanceof Set) return items(value);
    if (value instanceof Map)
      return [...value.keys()].every((key) => typeof key === "string")
        ? entries(value as Map<string, unknown>)
        : items(value);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
      return `[${value.byteLength} bytes]`;
    if (value instanceof Error) return { name: value.name, message: value.message };
    if (value instanceof RegExp) return String(value);
    if (BOXED.some((Box) => value instanceof Box)) return this.of(value.valueOf(), depth);
    return entries(Object.entries(value));
  }
}

const BOXED = [Number, String, Boolean, BigInt] as const;

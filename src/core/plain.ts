/** Whether a value arrives as it was sent: it is copied, and whatever its form has no place for is refused with the path to it. */
import { LIMITS } from "./defaults.js";
import { InvalidInputError, type ErrorCode, type QudoError } from "./errors.js";

/** What JSON, or another form, has a place for. */
export interface Form {
  readonly name: string;
  /** How many bytes a value takes that is kept as it is; null for what is looked into, or refused. */
  carries(value: unknown): number | null;
  /** NaN and Infinity, too. */
  readonly anyNumber: boolean;
  /** NUL, too. */
  readonly anyText: boolean;
  /** No property "__proto__". */
  readonly refusesProto: boolean;
}

export const JSON_FORM: Form = {
  name: "JSON",
  carries: () => null,
  anyNumber: false,
  anyText: false,
  refusesProto: false,
};

/** What is asked of a value before it is written. */
export interface Rules {
  readonly form: Form;
  readonly root: string;
  /** What happens to text that databases cannot hold. */
  readonly text: "refuse" | "replace";
  readonly code: ErrorCode;
  readonly maxBytes: number;
  readonly tooLarge: { readonly code: ErrorCode; readonly advice: string };
}

export function replaceUnstorable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}

export function tooLarge({ root, maxBytes, tooLarge: { code, advice } }: Rules): InvalidInputError {
  return new InvalidInputError(code, `The ${root} is larger than ${maxBytes} bytes. ${advice}`);
}

export class Check {
  private readonly open = new Set<object>();
  private room: number;
  constructor(private readonly rules: Rules) {
    this.room = rules.maxBytes;
  }

  /** A copy that is written as it is. */
  plain(value: unknown, path: string, depth: number): unknown {
    switch (typeof value) {
      case "string":
        return this.string(value, path);
      case "number":
        this.spend(1);
        if (Number.isFinite(value) || this.rules.form.anyNumber) return value;
        throw this.refuse(path, `${value} has no form in ${this.form}`);
      case "boolean":
        this.spend(1);
        return value;
      case "object":
        if (value !== null) return this.object(value, path, depth);
        this.spend(1);
        return null;
      default:
        if (this.carried(value)) return value;
        throw this.refuse(path, `a ${typeof value} has no form in ${this.form}`);
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
    if (value.isWellFormed() && (this.rules.form.anyText || !value.includes("\0"))) return value;
    if (this.rules.text === "replace") return replaceUnstorable(value);
    throw this.refuse(path, "the text holds a NUL or half a surrogate pair");
  }

  private get form(): string {
    return this.rules.form.name;
  }

  /** The form has a place for it as it is. */
  private carried(value: unknown): boolean {
    const bytes = this.rules.form.carries(value);
    if (bytes !== null) this.spend(bytes);
    return bytes !== null;
  }

  private object(value: object, path: string, depth: number): unknown {
    if (this.carried(value)) return value;
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
      throw this.refuse(
        path,
        `a ${value.constructor?.name || "class"} has no form in ${this.form}`,
      );
    this.spend(1);
    const out: Record<string, unknown> = Object.create(null);
    for (const [key, item] of Object.entries(value)) {
      const where = `${path}.${key}`;
      if (key === "__proto__" && this.rules.form.refusesProto)
        throw this.refuse(where, `this name has no form in ${this.form}`);
      if (item !== undefined) out[this.string(key, where)] = this.plain(item, where, depth + 1);
    }
    return out;
  }

  private refuse(path: string, why: string): QudoError {
    const at = path.length > 200 ? `${path.slice(0, 200)}…` : path;
    return new InvalidInputError(this.rules.code, `${replaceUnstorable(at)}: ${why}.`);
  }
}

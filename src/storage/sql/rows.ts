/**
 * What a row looks like: each column's type, said once for the statement, its types in TypeScript and its decoding. Users'
 * connections come with parsers of their own: a number may arrive as text, an id as bytes. From here on it does not matter.
 */
import { idText } from "../../core/ids.js";
import { join, raw, type Query } from "./query.js";

/** "id": 16 bytes, a UUID in text here. "int": up to 2^53. "flag": true or false. */
export type ColumnType = "id" | "int" | "text" | "bytes" | "flag";

/** Columns by name; "?" for those that may be null. */
export type Shape = Readonly<Record<string, ColumnType | `${ColumnType}?`>>;

interface Plain {
  id: string;
  int: number;
  text: string;
  bytes: Uint8Array;
  flag: boolean;
}

/** A row of this shape. */
export type RowOf<S extends Shape> = {
  readonly [Name in keyof S]: S[Name] extends ColumnType
    ? Plain[S[Name]]
    : S[Name] extends `${infer Type extends ColumnType}?`
      ? Plain[Type] | null
      : never;
};

/** The type without its "?". */
export function typeOf(column: Shape[string]): ColumnType {
  return (column.endsWith("?") ? column.slice(0, -1) : column) as ColumnType;
}

/** The names of a shape's columns as a list, each with the table's alias before it: for `select` and `insert`. */
export function columnsOf(shape: Shape, alias?: string): Query {
  const prefix = alias === undefined ? "" : `${alias}.`;
  return join(Object.keys(shape).map((name) => raw(prefix + name)));
}

/** A client's row as a row of this shape. */
export function decode<S extends Shape>(
  shape: S,
  row: Readonly<Record<string, unknown>>,
): RowOf<S> {
  const decoded: Record<string, unknown> = {};
  for (const name in shape) {
    const value = row[name];
    decoded[name] =
      value === null || value === undefined ? null : DECODERS[typeOf(shape[name]!)](value);
  }
  return decoded as RowOf<S>;
}

const DECODERS: Readonly<Record<ColumnType, (value: unknown) => unknown>> = {
  id: (value) => (typeof value === "string" ? value : idText(value as Uint8Array)),
  int: Number,
  text: String,
  // PostgreSQL writes bytes as text like \x00ff, and true as t.
  bytes: (value) => (typeof value === "string" ? Buffer.from(value.slice(2), "hex") : value),
  flag: (value) => value === true || value === "t" || Number(value) === 1,
};

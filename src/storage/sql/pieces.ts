/** Large sets in pieces: no statement names more than 1,000 rows, or carries more than 4 MiB. */
import { LIMITS } from "../../core/defaults.js";
import { typeOf, type RowOf, type Shape } from "./rows.js";

/** In order, each of at most 1,000, or of `most`. */
export function pieces<T>(
  items: readonly T[],
  most: number = LIMITS.rowsPerStatement,
): (readonly T[])[] {
  if (items.length <= most) return items.length === 0 ? [] : [items];
  return Array.from({ length: Math.ceil(items.length / most) }, (_, i) =>
    items.slice(i * most, (i + 1) * most),
  );
}

/** In order, each of at most 1,000 rows and 4 MiB; a row that is larger by itself goes alone. */
export function piecesOfRows<S extends Shape>(
  shape: S,
  rows: readonly RowOf<S>[],
): (readonly RowOf<S>[])[] {
  const long = Object.keys(shape).filter((name) => LONG.has(typeOf(shape[name]!)));
  const cut: RowOf<S>[][] = [];
  let bytes = 0;
  for (const row of rows) {
    const size = long.reduce((sum, name) => sum + bytesOf(row[name]), 0);
    const piece = cut.at(-1);
    const fits = bytes + size <= LIMITS.bytesPerStatement;
    if (piece !== undefined && piece.length < LIMITS.rowsPerStatement && fits) piece.push(row);
    else {
      cut.push([row]);
      bytes = 0;
    }
    bytes += size;
  }
  return cut;
}

const LONG: ReadonlySet<string> = new Set(["text", "bytes"]);

function bytesOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  return value instanceof Uint8Array ? value.byteLength : 0;
}

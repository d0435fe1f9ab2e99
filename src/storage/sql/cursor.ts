/** Where a page ended, as text: numbers and ids in the order of the list's key. Callers hand it back and read nothing in it. */
import { InvalidInputError } from "../../core/errors.js";
import { isUuid } from "../../core/ids.js";
import { show } from "../../core/options.js";
import { id, type Value } from "./query.js";

/** The parts of a key: numbers, and ids as text. */
export type Key = readonly (number | string)[];

/** What the parts of a key are, in order. */
export type KeyShape = readonly ("number" | "id")[];

const NUMBER = /^-?\d{1,15}$/;

export function cursorOf(key: Key): string {
  return key.join("/");
}

/** @throws InvalidInputError QUDO_INVALID_OPTION for a text that no page of this list ends with. */
export function keyOf(cursor: string, shape: KeyShape): Key {
  const parts = cursor.split("/");
  const fits = shape.every((type, i) =>
    type === "number" ? NUMBER.test(parts[i] ?? "") : isUuid(parts[i]),
  );
  if (!fits || parts.length !== shape.length) throw badCursor(cursor);
  return parts.map((part, i) => (shape[i] === "number" ? Number(part) : part.toLowerCase()));
}

/** The parts of a key as values of a statement. */
export function valuesOf(key: Key): Value[] {
  return key.map((part) => (typeof part === "string" ? id(part) : part));
}

export function badCursor(cursor: string): InvalidInputError {
  return new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `${show(cursor)} is no cursor of this list. Give "next" of the page before as it is, or nothing to begin.`,
  );
}

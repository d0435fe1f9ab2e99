/** Keys of cursors (storage/sql/cursor.ts) as this engine takes and gives them: ids are bytes. */
import { idBytes, idText } from "../../core/ids.js";
import { cursorOf, type Key as TextKey } from "../sql/cursor.js";

/** The parts of a key: numbers, and ids as bytes. */
export type Key = readonly (number | Uint8Array)[];

export function toBytes(key: TextKey): Key {
  return key.map((part) => (typeof part === "number" ? part : idBytes(part)));
}

export function cursorOfBytes(key: Key): string {
  return cursorOf(key.map((part) => (typeof part === "number" ? part : idText(part))));
}

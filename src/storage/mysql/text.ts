/** A query as one text with its values in it: statements that are never the same twice are not worth preparing. */
import { Id, List, render, type Query, type Value } from "../sql/query.js";

/** `escape`: the client library's, for texts; sessions of ours never have NO_BACKSLASH_ESCAPES. */
export function textOf(query: Query, escape: (text: string) => string): string {
  return alongKeys(render(query, (_, value) => literal(value, escape)).text);
}

/**
 * Every DELETE follows a key, also in a table so small that reading all of it seems cheaper: there it would wait for every row
 * that others are moving. This is said to MySQL; on MariaDB, where it is a comment, safe updates do the same.
 */
function alongKeys(text: string): string {
  return text.replace(/^delete from (`\w+`)/, "delete /*+ index($1) */ from $1");
}

function literal(value: Value, escape: (text: string) => string): string {
  if (value === null) return "null";
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "string") return escape(value);
  if (value instanceof Id) return `x'${hexOf(value.text)}'`;
  if (value instanceof List) throw new TypeError("These servers have no arrays.");
  return `x'${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}'`;
}

function number(value: number): string {
  if (!Number.isSafeInteger(value)) throw new TypeError(`${value} is no whole number.`);
  return String(value);
}

const HEX = /^[0-9a-f]{32}$/i;

function hexOf(id: string): string {
  const hex = id.replaceAll("-", "");
  if (!HEX.test(hex)) throw new TypeError(`${id} is no id.`);
  return hex;
}

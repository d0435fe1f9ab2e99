/**
 * Paths are bytes, whatever they hold; JSON is text. A path that is clean UTF-8 travels as itself, so that a person can read
 * it in the database; any other as base64.
 */
export type PathText = string | { readonly base64: string };

export function pathText(path: Buffer): PathText {
  const text = path.toString("utf8");
  return Buffer.from(text, "utf8").equals(path) ? text : { base64: path.toString("base64") };
}

export function pathBytes(path: PathText): Buffer {
  return typeof path === "string" ? Buffer.from(path, "utf8") : Buffer.from(path.base64, "base64");
}

const SLASH = Buffer.from("/");

export function join(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? name : Buffer.concat([folder, SLASH, name]);
}

/** For a terminal: no control characters, whatever the file is called. */
export function shown(path: PathText): string {
  return pathBytes(path)
    .toString("utf8")
    .replaceAll(/\p{Cc}/gu, "\u{fffd}");
}

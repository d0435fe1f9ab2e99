/** Loads modules that are named on the command line, and finds what they export. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { InvalidInputError, type ErrorCode } from "../core/errors.js";
import { exported } from "../core/exported.js";

/** What a file is loaded for: which option names it, and the code of what is wrong with it. */
export interface Purpose {
  readonly option: string;
  readonly code: ErrorCode;
}

/** Named exports, the default one, and what arrays or (CommonJS) a default object hold. @throws InvalidInputError. */
export async function exportsOf(file: string, purpose: Purpose): Promise<unknown[]> {
  return exported(await moduleOf(file, purpose));
}

/** @throws InvalidInputError */
export async function moduleOf(file: string, purpose: Purpose): Promise<object> {
  const path = resolve(file);
  if (!existsSync(path))
    throw unusable(file, `There is no such file (looked for ${path}).`, purpose);
  try {
    return (await import(pathToFileURL(path).href)) as object;
  } catch (cause) {
    throw unusable(file, whyNot(cause), purpose, cause);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function whyNot(cause: unknown): string {
  if (isObject(cause) && cause.code === "ERR_UNKNOWN_FILE_EXTENSION")
    return `Node ${process.versions.node} cannot run TypeScript. Compile it and give the .js file, or use Node ≥ 22.18.`;
  const message = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return `It cannot be loaded: ${message}\nSet QUDO_DEBUG=1 to see where that happened.`;
}

export function unusable(
  file: string,
  why: string,
  { option, code }: Purpose,
  cause?: unknown,
): InvalidInputError {
  return new InvalidInputError(code, `${option} ${file}: ${why}`, { cause });
}

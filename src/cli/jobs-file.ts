/** Loads the modules given with --jobs, and finds the job definitions they export. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AnyJobDefinition } from "../core/job.js";
import { InvalidInputError } from "../core/errors.js";

/** Definitions of all files, each once. @throws InvalidInputError QUDO_JOBS_FILE that names the file and what to do. */
export async function loadJobs(files: readonly string[]): Promise<AnyJobDefinition[]> {
  const jobs = new Set<AnyJobDefinition>();
  for (const file of files) for (const job of await definitionsOf(file)) jobs.add(job);
  return [...jobs];
}

async function definitionsOf(file: string): Promise<AnyJobDefinition[]> {
  const jobs = exported(await load(file)).filter(isDefinition);
  if (jobs.length === 0)
    throw unusable(
      file,
      'It exports no job definitions. Export what defineJob returns: export const mail = defineJob("mail.send", { run });',
    );
  return jobs;
}

async function load(file: string): Promise<object> {
  const path = resolve(file);
  if (!existsSync(path)) throw unusable(file, `There is no such file (looked for ${path}).`);
  try {
    return (await import(pathToFileURL(path).href)) as object;
  } catch (cause) {
    throw unusable(file, whyNot(cause), cause);
  }
}

/** Named exports, the default one, and what arrays or (CommonJS) a default object hold. */
function exported(module: object): unknown[] {
  const values: unknown[] = Object.values(module).flat();
  const inside =
    "default" in module && isObject(module.default) ? Object.values(module.default) : [];
  return [...values, ...inside];
}

/** Told by its shape: the job file may use another copy of qudo than this command. */
function isDefinition(value: unknown): value is AnyJobDefinition {
  if (!isObject(value)) return false;
  const { kind, queue, run } = value;
  return typeof kind === "string" && typeof queue === "string" && typeof run === "function";
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

function unusable(file: string, why: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError("QUDO_JOBS_FILE", `--jobs ${file}: ${why}`, { cause });
}

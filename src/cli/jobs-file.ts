/** Loads the modules given with --jobs, and finds the job definitions they export. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AnyJobDefinition } from "../core/job.js";
import { InvalidInputError } from "../core/errors.js";
import { definitionsIn } from "../core/exported.js";

/** Definitions of all files, each once. @throws InvalidInputError QUDO_JOBS_FILE that names the file and what to do. */
export async function loadJobs(files: readonly string[]): Promise<AnyJobDefinition[]> {
  const homes = new Map<AnyJobDefinition, string>();
  for (const file of files)
    for (const job of await definitionsOf(file))
      if (!homes.has(job)) homes.set(job, pathToFileURL(resolve(file)).href);
  // Whoever runs its handler apart from here finds it where we did.
  return Array.from(homes, ([job, home]) => (job.module ? job : { ...job, module: home }));
}

async function definitionsOf(file: string): Promise<AnyJobDefinition[]> {
  const jobs = definitionsIn(await load(file));
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

/** Finds the job definitions that the modules given with --jobs export. */
import type { AnyJobDefinition } from "../core/job.js";
import { exportsOf, isObject, unusable, type Purpose } from "./modules.js";

const JOBS: Purpose = { option: "--jobs", code: "QUDO_JOBS_FILE" };

/** Definitions of all files, each once. @throws InvalidInputError QUDO_JOBS_FILE that names the file and what to do. */
export async function loadJobs(files: readonly string[]): Promise<AnyJobDefinition[]> {
  const jobs = new Set<AnyJobDefinition>();
  for (const file of files) for (const job of await definitionsOf(file)) jobs.add(job);
  return [...jobs];
}

async function definitionsOf(file: string): Promise<AnyJobDefinition[]> {
  const jobs = (await exportsOf(file, JOBS)).filter(isDefinition);
  if (jobs.length === 0)
    throw unusable(
      file,
      'It exports no job definitions. Export what defineJob returns: export const mail = defineJob("mail.send", { run });',
      JOBS,
    );
  return jobs;
}

/** Told by its shape: the job file may use another copy of qudo than this command. */
function isDefinition(value: unknown): value is AnyJobDefinition {
  if (!isObject(value)) return false;
  const { kind, queue, run } = value;
  return typeof kind === "string" && typeof queue === "string" && typeof run === "function";
}

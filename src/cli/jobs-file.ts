/** Finds the job definitions that the modules given with --jobs export. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AnyJobDefinition } from "../core/job.js";
import { definitionsIn } from "../core/exported.js";
import { moduleOf, unusable, type Purpose } from "./modules.js";

const JOBS: Purpose = { option: "--jobs", code: "QUDO_JOBS_FILE" };

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
  const jobs = definitionsIn(await moduleOf(file, JOBS));
  if (jobs.length === 0)
    throw unusable(
      file,
      'It exports no job definitions. Export what defineJob returns: export const mail = defineJob("mail.send", { run });',
      JOBS,
    );
  return jobs;
}

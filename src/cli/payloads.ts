/** What is enqueued: the definition of its kind, and payloads that have been found good before there is a database. */
import { encodePayload } from "../core/codec.js";
import { InvalidInputError } from "../core/errors.js";
import { defineJob, registry, type AnyJobDefinition } from "../core/job.js";
import { checkName, show } from "../core/options.js";
import { validate } from "../core/schema.js";
import { loadJobs } from "./jobs-file.js";
import { parseJson } from "./json-text.js";
import { stdinLines } from "./stdin.js";

/** From the files; without any a definition that knows no more than the name. */
export async function definition(kind: string, files: readonly string[] | undefined) {
  checkName(kind, "KIND");
  if (files === undefined) return defineJob(kind, { run: () => undefined });
  const jobs = registry(await loadJobs(files));
  const job = jobs.get(kind);
  if (job !== undefined) return job;
  throw new InvalidInputError(
    "QUDO_JOBS_FILE",
    `--jobs ${files.join(" ")}: There is no kind ${show(kind)} in it. There are: ${[...jobs.keys()].join(", ")}.`,
  );
}

/** The JSON texts of stdin, each found good; empty lines are left out. They are kept as texts: values would take more room. */
export async function checkedLines(job: AnyJobDefinition): Promise<string[]> {
  const texts: string[] = [];
  let number = 0;
  for await (const line of stdinLines("one JSON payload a line")) {
    number++;
    if (line.trim() === "") continue;
    await named(`line ${number}`, () => check(job, parsed(line, `stdin, line ${number}`)));
    texts.push(line);
  }
  return texts;
}

/** As the API checks it, but before there is a database. */
export async function check({ schema, hooks }: AnyJobDefinition, payload: unknown): Promise<void> {
  const text = encodePayload(payload);
  // Its hooks may make of it what the schema wants.
  if (hooks?.some(({ preEnqueue, around }) => preEnqueue ?? around?.enqueue)) return;
  if (schema !== null) await validate(schema, JSON.parse(text), "The payload");
}

/** Errors say which line is meant, unless they do so already. */
async function named(line: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof InvalidInputError) || error.message.includes(`${line},`)) throw error;
    throw new InvalidInputError(error.code, `stdin, ${line}: ${error.message}`, { cause: error });
  }
}

export function parsed(text: string, place: string): unknown {
  const hint =
    place === "PAYLOAD"
      ? 'In a shell put JSON into single quotes, as in \'{"to":"ada"}\'; a text is \'"ada"\'.'
      : "";
  return parseJson(text, place, hint);
}

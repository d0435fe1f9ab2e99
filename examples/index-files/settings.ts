/** The command line of the example. */
import { mkdirSync, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";

export const HELP = `Hashes every file below a folder, one durable job per file.

  npm start                              index ./node_modules
  npm start -- DIR                       index another folder
  npm start -- DIR --workers 4           with four worker processes
  npm --silent start -- DIR --json       one line of JSON instead of the table

  --workers N       worker processes on the same database (default 2)
  --database URL    default sqlite:.qudo/index-files.db; or postgres://…, mysql://…
  --fresh           start over; without it a run goes on where it was, and what is done is not read again
  --json            print {"files","done","abandoned","attempts","bytes","digest","seconds","jobsPerSecond"}
  --help            this text

The digest can be proved from outside:
  cd DIR && find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum -z -- | tr '\\0' '\\n' | sha256sum`;

export class UsageError extends Error {}

export interface Settings {
  /** Absolute, links resolved, as bytes. */
  readonly root: Buffer;
  readonly database: string;
  readonly workers: number;
  readonly fresh: boolean;
  readonly json: boolean;
}

/** Null when only help was asked for. */
export function settings(): Settings | null {
  const { values, positionals } = parse();
  if (values.help) return null;
  if (positionals.length > 1) throw new UsageError("give one folder");
  const workers = Number(values.workers);
  if (!Number.isInteger(workers) || workers < 1 || workers > 64)
    throw new UsageError("--workers takes a whole number from 1 to 64");
  return {
    root: rootFolder(positionals[0]),
    database: values.database ?? defaultDatabase(),
    workers,
    fresh: values.fresh,
    json: values.json,
  };
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        workers: { type: "string", default: "2" },
        database: { type: "string" },
        fresh: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** npm runs scripts in the package's folder; INIT_CWD is where the person stands. */
function rootFolder(given: string | undefined): Buffer {
  const here = process.env["INIT_CWD"] ?? process.cwd();
  const folder = given === undefined ? resolve("node_modules") : resolve(here, given);
  try {
    if (statSync(folder).isDirectory()) return realpathSync(folder, { encoding: "buffer" });
  } catch {
    // Told below.
  }
  throw new UsageError(`${folder} is no folder that can be read`);
}

function defaultDatabase(): string {
  const path = resolve(".qudo/index-files.db");
  mkdirSync(dirname(path), { recursive: true });
  return `sqlite:${path}`;
}

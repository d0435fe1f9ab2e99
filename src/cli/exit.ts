/** How a command ends: its exit code, and what is printed when it failed. */
import { inspect } from "node:util";
import { InvalidInputError, QudoError } from "../core/errors.js";
import { painter, printJson, say } from "./output.js";
import { safeLines } from "./text.js";

export const EXIT = {
  ok: 0,
  /** The database, or what was found in it. */
  failed: 1,
  /** The command line, or a file named on it. */
  usage: 2,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Runs an action; an error is printed and becomes an exit code. */
export async function guarded(json: boolean, action: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await action();
  } catch (error) {
    report(error, json);
    return error instanceof InvalidInputError ? EXIT.usage : EXIT.failed;
  }
}

/** With --json stdout holds exactly one object, the result or this; text goes to stderr. */
function report(error: unknown, json: boolean): void {
  const known = error instanceof QudoError;
  const message = error instanceof Error ? error.message : inspect(error);
  if (json) printJson({ error: { code: known ? error.code : null, message } });
  else sayError(message, known ? error.code : null);
  // An error that is not ours was not foreseen: its stack is the only thing that helps.
  if (process.env.QUDO_DEBUG || !known) say(safeLines(inspect(error)));
}

function sayError(message: string, code: string | null): void {
  const paint = painter(process.stderr);
  say(`${paint.red("error:")} ${safeLines(message)}`);
  if (code !== null) say(paint.dim(`       [${code}]`));
}

/** Ends the process once all is written, whatever else would keep it alive. */
export async function leave(code: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr])
    await new Promise<void>((resolve) => void stream.write("", () => resolve()));
  process.exit(code);
}

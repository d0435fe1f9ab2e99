/** What the commands share: --database, --json, help that ends with examples, and how an action becomes an exit code. */
import { Option, type Command } from "commander";
import type { Databases } from "../storage/database.js";
import { databasesOf } from "./databases.js";
import { guarded, leave, type ExitCode } from "./exit.js";

export interface CommonOptions {
  database: Databases;
  json?: true;
}

/** A command line, and what it does. */
export type Example = readonly [line: string, meaning: string];

export interface CommandText {
  name: string;
  /** What stands behind the name: "<id>" must be given, "[id]" may be, "[ids...]" may be many. Default none. */
  args?: readonly (readonly [form: string, meaning: string])[];
  /** One line, for the list of commands. */
  summary: string;
  /** What it does, what it prints, when it fails. */
  description: string;
  examples: readonly Example[];
  /** Handlers and what their modules opened may go on for ever: the process is ended when the command is. Default false. */
  runsUserCode?: boolean;
}

/** Adds a command; more options can be put on what it returns. `run` is given the arguments in order, lists flattened. */
export function addCommand<Options extends CommonOptions>(
  program: Command,
  { name, args = [], summary, description, examples: lines, runsUserCode = false }: CommandText,
  run: (options: Options, args: readonly string[]) => Promise<ExitCode>,
): Command {
  const command = program.command(name).summary(summary).description(description);
  for (const [form, meaning] of args) command.argument(form, meaning);
  return command
    .addOption(
      new Option(
        "--database <url>",
        "which database: sqlite:FILE, postgres://… or mysql://…; again and with names (a=sqlite:a.db) for several",
      )
        .env("QUDO_DATABASE")
        .default("sqlite:qudo.db")
        .argParser(collect),
    )
    .option("--json", "print one JSON object instead of text")
    .addHelpText("after", examples(lines))
    .action(async () => {
      const options = command.opts<Options & { database: string | readonly string[] }>();
      const given = command.processedArgs.flat().filter((arg) => arg !== undefined) as string[];
      const code = await guarded(options.json ?? false, async () => {
        const fromLine = command.getOptionValueSource("database") === "cli";
        const texts = fromLine ? options.database : String(options.database);
        return run({ ...options, database: databasesOf(texts) }, given);
      });
      if (runsUserCode) await leave(code);
      process.exitCode = code;
    });
}

/** The first one takes the place of the default. */
function collect(text: string, before: unknown): string[] {
  return Array.isArray(before) ? [...(before as string[]), text] : [text];
}

export function examples(lines: readonly Example[]): string {
  const texts = lines.map(([line, meaning]) => `  # ${meaning}\n  $ ${line}\n`);
  return `\nExamples:\n${texts.join("\n")}`;
}

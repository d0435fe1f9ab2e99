/** `qudo database`: which databases there are, and what each is used for. */
import type { Command } from "commander";
import type { DatabaseMode } from "../storage/driver.js";
import { addCommand, type CommonOptions } from "./command.js";
import { databaseLines, isOut } from "./database-table.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { print, printJson } from "./output.js";
import { safe } from "./text.js";
import { invalid } from "./values.js";

interface DatabaseFlags extends CommonOptions {
  copy?: true;
}

const MODES: readonly string[] = ["active", "drain", "off"] satisfies DatabaseMode[];

/** What follows from each, for whoever has just said it. */
const FOLLOWS: Readonly<Record<DatabaseMode, string>> = {
  active: "it gets new jobs, and they are worked on",
  drain: "it gets no new jobs; those in it are worked off",
  off: "nothing of it is claimed, and it gets no new jobs",
};

export function addDatabase(program: Command): void {
  addCommand<DatabaseFlags>(
    program,
    {
      name: "database",
      args: [
        ["<what>", "list, active, drain, off or rename"],
        ["[name]", "which database; for rename its new name"],
      ],
      summary: "show databases, drain one, or put it out of use",
      description:
        "Of several databases that are used as one, list shows which can be used and what for. drain gives one no new " +
        "jobs, while those in it are worked off; off also claims nothing of it, and what workers hold is still settled; " +
        "active takes either back. It is written in the database, and every producer and worker obeys within seconds.\n\n" +
        "Each database holds the name under which it was first used, and is refused under another one. rename gives it " +
        "another: name it by its address alone, while nothing else uses it. With --copy it gets another identity too: for a " +
        "database that was made by copying one.",
      examples: [
        [
          "qudo database list --database a=sqlite:a.db --database b=postgres://db.example/app",
          "which can be used",
        ],
        [
          "QUDO_DATABASE='a=sqlite:a.db b=postgres://db.example/app' qudo database drain b",
          "b gets no new jobs any more",
        ],
        [
          "qudo database rename c --database sqlite:copy.db --copy",
          "a copy becomes one of its own",
        ],
      ],
    },
    database,
  ).option("--copy", "rename: it was made as a copy of another database");
}

async function database(flags: DatabaseFlags, args: readonly string[]): Promise<ExitCode> {
  const [what, name] = args as [string, string?];
  if (flags.copy && what !== "rename") throw invalid("--copy", "it belongs to rename.");
  if (what === "list" && name === undefined) return list(flags);
  if (what === "list") throw invalid("list", "it shows all of them; leave the name out.");
  if (what !== "rename" && !MODES.includes(what))
    throw invalid(what, "give list, active, drain, off or rename.");
  if (name === undefined) throw invalid(what, "give the name of the database.");
  return what === "rename" ? rename(flags, name) : setMode(flags, name, what as DatabaseMode);
}

async function list({ database: given, json }: DatabaseFlags): Promise<ExitCode> {
  await using qudo = openExisting(given);
  const databases = await qudo.monitor.databases();
  if (json) printJson({ databases });
  else if (databases.length > 0) print(databaseLines(databases, Date.now()).slice(1).join("\n"));
  else print(`${safe(await qudo.label())} is used by itself: it is none of several databases.`);
  return databases.some(isOut) ? EXIT.failed : EXIT.ok;
}

async function setMode(
  { database: given, json }: DatabaseFlags,
  name: string,
  mode: DatabaseMode,
): Promise<ExitCode> {
  await using qudo = openExisting(given);
  await qudo.setMode(name, mode);
  if (json) printJson({ name, mode });
  else print(`${name}: ${mode}: ${FOLLOWS[mode]}`);
  return EXIT.ok;
}

async function rename(
  { database: given, copy, json }: DatabaseFlags,
  name: string,
): Promise<ExitCode> {
  if (typeof given !== "string")
    throw invalid("rename", "give the address of the one database alone, without a name.");
  await using qudo = openExisting(given);
  const identity = await qudo.rename(name, { copy: copy ?? false });
  const label = await qudo.label();
  if (json) printJson({ database: label, ...identity });
  else print(`${safe(label)}: is called ${name} now${copy ? ", and is one of its own" : ""}`);
  return EXIT.ok;
}

/** `qudo --use FILE …`: hooks and plugins that modules export, and the commands that plugins bring. */
import { delimiter } from "node:path";
import type { Command } from "commander";
import { InvalidInputError } from "../core/errors.js";
import { looksLikeHooks } from "../core/hooks.js";
import { show } from "../core/options.js";
import { isPlugin, type Plugin, type PluginCommand, type Usable } from "../core/plugins.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import { EXIT, type ExitCode } from "./exit.js";
import { exportsOf, unusable, type Purpose } from "./modules.js";
import { print, printJson } from "./output.js";
import { safeLines } from "./text.js";

const USE: Purpose = { option: "--use", code: "QUDO_PLUGIN_FILE" };

/**
 * What is named before the command (`--use FILE`, `--use=FILE`), else in QUDO_USE. Before the command line is read: plugins add to it.
 * @throws InvalidInputError QUDO_PLUGIN_FILE.
 */
export async function usedBy(args: readonly string[], env: string | undefined): Promise<Usable[]> {
  const named = namedIn(args);
  const files = named.length > 0 ? named : (env ?? "").split(delimiter).filter((file) => file);
  const used = new Set<Usable>();
  for (const file of files) for (const one of await usableOf(file)) used.add(one);
  return [...used];
}

function namedIn(args: readonly string[]): string[] {
  const files: string[] = [];
  for (let i = 0; args[i]?.startsWith("--use") === true; i++) {
    const [name, file] = args[i]!.split(/=(.*)/s, 2);
    if (name !== "--use") break;
    files.push(file ?? args[++i] ?? "");
  }
  return files.filter((file) => file !== "");
}

async function usableOf(file: string): Promise<Usable[]> {
  const found = (await exportsOf(file, USE)).filter(
    (value): value is Usable => isPlugin(value) || looksLikeHooks(value),
  );
  if (found.length > 0) return found;
  throw unusable(
    file,
    "It exports no plugins and no hooks. Export what a plugin's function returns, as in: export default metrics({ port: 9090 });",
    USE,
  );
}

/** Adds the option, for the help, and the commands of plugins. @throws InvalidInputError QUDO_PLUGIN_CLASH. */
export function addUse(program: Command, used: readonly Usable[]): void {
  program.option(
    "--use <file>",
    "before the command: a module that exports plugins or hooks; may be given again (env: QUDO_USE)",
    (file: string, before: string[] = []) => [...before, file],
  );
  for (const plugin of used.filter(isPlugin))
    for (const command of plugin.commands) addOne(program, used, plugin, command);
}

function addOne(
  program: Command,
  used: readonly Usable[],
  plugin: Plugin,
  command: PluginCommand,
): void {
  const { name, summary, description = summary, args = [], examples = [] } = command;
  if (name === "help" || program.commands.some((other) => other.name() === name))
    throw new InvalidInputError(
      "QUDO_PLUGIN_CLASH",
      `The plugin ${show(plugin.name)} brings a command ${show(name)}, but there is one of this name already.`,
    );
  const run = async (
    { database, json, ...options }: CommonOptions,
    given: readonly string[],
  ): Promise<ExitCode> => {
    await using qudo = openExisting(database, used);
    const api = (qudo.plugins as Readonly<Record<string, unknown>>)[plugin.name];
    await command.run({ qudo, api, args: given, options, json: json === true, print: tell });
    return EXIT.ok;
  };
  const text = { name, summary, description, args, examples, runsUserCode: true };
  const added = addCommand(program, text, run);
  for (const [form, meaning] of command.options ?? []) added.option(form, meaning);
}

function tell(what: string | object): void {
  if (typeof what === "string") print(safeLines(what));
  else printJson(what);
}

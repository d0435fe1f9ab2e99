/** What a plugin is: a name, and what it adds to the Qudo that uses it. */
import { durationMs, type Duration } from "./duration.js";
import { InvalidInputError } from "./errors.js";
import { checkHooks } from "./hooks.js";
import type { Hooks } from "./job.js";
import { checkOptions, show } from "./options.js";

/** Something a plugin does now and then, in every process that has a worker: it must be harmless to do it twice. */
export interface PluginMaintenance {
  /** Time between the end of one round and the beginning of the next. At least 1 s. */
  every: Duration;
  /** One round. What it throws is told, and the next one comes all the same. `signal` is aborted when the workers stop. */
  run(round: { readonly signal: AbortSignal }): unknown;
}

/** A command of a plugin, as `qudo --use FILE NAME …` runs it. */
export interface PluginCommand<Api = unknown, Q = unknown> {
  /** The command's name. No other command may have it. */
  name: string;
  /** One line, for the list of commands. */
  summary: string;
  /** What it does, prints, and when it fails. Default: the summary. */
  description?: string;
  /** What stands behind the name: `["<id>", "which job"]`; "[id]" may be left out, "[ids...]" may be many. Default: nothing. */
  args?: readonly (readonly [form: string, meaning: string])[];
  /** Beside --database and --json: `["--since <duration>", "from when on"]`. Default: none. */
  options?: readonly (readonly [form: string, meaning: string])[];
  /** Command lines that do something useful, each with what. Default: none. */
  examples?: readonly (readonly [line: string, meaning: string])[];
  /** Does it. An error is printed and exits with 1; a QudoError of wrong input with 2. */
  run(command: CommandRun<Api, Q>): void | Promise<void>;
}

/** What a command of a plugin is given. */
export interface CommandRun<Api = unknown, Q = unknown> {
  /** Open on what --database says, with the plugins of the same file in use. Closed after the command. */
  readonly qudo: Q;
  /** What the plugin offers. */
  readonly api: Api;
  readonly args: readonly string[];
  /** By their long names in camel case: "--dry-run" is `dryRun`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** --json was given: print one JSON object and nothing else. */
  readonly json: boolean;
  /** Writes text, or with an object JSON, to stdout. Made harmless to a terminal. */
  print(what: string | object): void;
}

/** What a plugin adds. */
export interface PluginParts<Api = unknown> {
  /** What `qudo.plugins.<name>` and `job.plugins.<name>` are. Default: undefined. */
  api?: Api;
  /** Called as those given to `qudo.use` at the plugin's place. Default: none. */
  hooks?: Hooks | readonly Hooks[];
  /** Default: none. */
  maintenance?: PluginMaintenance | readonly PluginMaintenance[];
  /** When the Qudo is closed, after its workers, or the plugin is taken out. Those used last go first. */
  teardown?(): void | Promise<void>;
}

/** What a plugin's `setup` is given. */
export interface PluginSetup<Options = undefined, Q = unknown> {
  /** The Qudo that uses it. Plugins that were used before it are there. */
  readonly qudo: Q;
  /** What the plugin was made with. */
  readonly options: Options;
}

/** What {@link definePlugin} takes. */
export interface PluginOptions<Name extends string, Options, Api, Q = unknown> {
  /** A letter, then letters and digits: it is written behind a dot. */
  name: Name;
  /** Called once by each Qudo that uses it, when it is used. Answers at once; opens what it needs when it is first needed. */
  setup(given: PluginSetup<Options, Q>): PluginParts<Api>;
  /** Commands for `qudo --use`. Default: none. */
  commands?: readonly PluginCommand<NoInfer<Api>, Q>[];
}

/** A plugin with its options, to be given to `qudo.use`. */
export interface Plugin<Name extends string = string, Api = unknown> {
  readonly name: Name;
  /** For the Qudo that uses it. */
  // oxlint-disable-next-line typescript/no-explicit-any -- the Qudo, which core does not know
  readonly setup: (qudo: any) => PluginParts<Api>;
  /** For the command line. */
  // oxlint-disable-next-line typescript/no-explicit-any -- each command knows the api of its own plugin
  readonly commands: readonly PluginCommand<any, any>[];
  readonly [IS_PLUGIN]: true;
}

/** Shared between copies of this package: the command may be another one than that of a plugin's file. */
const IS_PLUGIN: unique symbol = Symbol.for("qudo.plugin") as never;

/** Hooks, or a plugin. */
export type Usable = Hooks | Plugin;

/** What `plugins` is where these are used. */
export type PluginsOf<Used extends readonly unknown[]> = {
  readonly [P in Named<Used[number]> as P["name"]]: P extends Plugin<string, infer Api>
    ? Api
    : never;
};

/** Plugins, and functions that make them. */
type Named<Used> = Used extends Plugin
  ? Used
  : Used extends (...given: never) => infer Made
    ? Extract<Made, Plugin>
    : never;

/** A plugin's options are those of the function that makes it; where it has none, there is nothing to be given. */
export type MakePlugin<Name extends string, Options, Api> = undefined extends Options
  ? (options?: Options) => Plugin<Name, Api>
  : (options: Options) => Plugin<Name, Api>;

/** Types of {@link definePlugin}, for one class of queue. */
export type DefinePlugin<Q> = <const Name extends string, Api = undefined, Options = undefined>(
  definition: PluginOptions<Name, Options, Api, Q>,
) => MakePlugin<Name, Options, Api>;

const KNOWN = ["name", "setup", "commands"] as const;
const KNOWN_OF_COMMANDS = [
  "name",
  "summary",
  "description",
  "args",
  "options",
  "examples",
  "run",
] as const;
const PARTS = ["api", "hooks", "maintenance", "teardown"] as const;

export function makePlugin<Name extends string, Options, Api>(
  definition: PluginOptions<Name, Options, Api>,
): (options: Options) => Plugin<Name, Api> {
  checkOptions(definition ?? null, KNOWN, "definePlugin");
  const { name, setup, commands = [] } = definition;
  if (typeof name !== "string" || !/^[A-Za-z][A-Za-z0-9]{0,63}$/.test(name))
    throw wants(name, "a name of a letter, then letters and digits: it is written behind a dot");
  if (typeof setup !== "function") throw wants(name, "setup: a function");
  if (!Array.isArray(commands)) throw wants(name, "commands: a list");
  commands.forEach((command) => checkCommand(name, command));
  const parts = (given: PluginSetup<Options>): PluginParts<Api> =>
    checkParts(name, definition.setup(given));
  return (options) =>
    Object.freeze({
      name,
      commands,
      setup: (qudo: unknown) => parts({ qudo, options }),
      [IS_PLUGIN]: true as const,
    });
}

export function isPlugin(value: unknown): value is Plugin {
  return typeof value === "object" && value !== null && IS_PLUGIN in value;
}

/** Rounds of maintenance with their time in milliseconds. */
export function roundsOf({ maintenance }: PluginParts): { everyMs: number; run: Round }[] {
  return [maintenance ?? []].flat().map((one: PluginMaintenance) => ({
    everyMs: durationMs(one.every, "every"),
    run: (round) => one.run(round),
  }));
}

export type Round = PluginMaintenance["run"];

function checkCommand(plugin: string, command: PluginCommand): void {
  const where = `A command of the plugin ${show(plugin)}`;
  checkOptions(command ?? null, KNOWN_OF_COMMANDS, where);
  if (!/^[a-z][a-z0-9-]*$/.test(String(command.name)))
    throw wants(plugin, `commands with names of small letters, not ${show(command.name)}`);
  if (typeof command.summary !== "string" || typeof command.run !== "function")
    throw wants(plugin, `a summary and a function run for the command ${show(command.name)}`);
}

function checkParts<Api>(name: string, parts: PluginParts<Api>): PluginParts<Api> {
  const where = `What setup of the plugin ${show(name)} returns`;
  if (typeof (parts as Partial<Promise<unknown>> | null)?.then === "function")
    throw wants(name, "a setup that answers at once; let what must wait do so when it is needed");
  checkOptions(parts ?? null, PARTS, where);
  for (const hooks of [parts.hooks ?? []].flat()) checkHooks(hooks as Hooks, `${where}: hooks`);
  for (const one of [parts.maintenance ?? []].flat() as PluginMaintenance[]) {
    checkOptions(one ?? null, ["every", "run"], `${where}: maintenance`);
    if (durationMs(one.every, "every") < 1_000 || typeof one.run !== "function")
      throw wants(name, "maintenance with every: at least 1 s, and run: a function");
  }
  if (parts.teardown !== undefined && typeof parts.teardown !== "function")
    throw wants(name, "teardown: a function");
  return parts;
}

function wants(name: unknown, what: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", `The plugin ${show(name)} needs ${what}.`);
}

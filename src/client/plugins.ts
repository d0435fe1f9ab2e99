/** The hooks and plugins that one Qudo uses: taken in in order, taken out in the reverse one. */
import { InvalidInputError } from "../core/errors.js";
import { checkHooks, type HookSet } from "../core/hooks.js";
import type { AnyPlugins, Hooks, WorkJob } from "../core/job.js";
import { show } from "../core/options.js";
import { isPlugin, roundsOf, type Plugin, type PluginParts, type Usable } from "../core/plugins.js";
import type { Complaints } from "./complaints.js";
import type { Rounds } from "./rounds.js";

interface InUse {
  readonly plugin: Plugin;
  readonly parts: PluginParts;
  readonly hooks: readonly Hooks[];
  /** Ends its rounds of maintenance. */
  readonly endRounds: readonly (() => Promise<void>)[];
}

export class PluginHost {
  private readonly inUse: InUse[] = [];
  private shown: AnyPlugins = named([]);

  constructor(
    private readonly hooks: HookSet<WorkJob>,
    private readonly rounds: Rounds,
    private readonly complaints: Complaints,
  ) {}

  /** What they offer, by their names. Another object after each change. */
  get plugins(): AnyPlugins {
    return this.shown;
  }

  /** All or none. @throws InvalidInputError, also for what none can use. */
  useAll(given: readonly Usable[], qudo: unknown): void {
    if (!Array.isArray(given))
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        `use takes a list of hooks and plugins, not ${show(given)}.`,
      );
    try {
      for (const one of given as readonly Usable[]) this.use(one, qudo);
    } catch (error) {
      void this.close();
      throw error;
    }
  }

  /** @throws InvalidInputError QUDO_HOOKS_TWICE, QUDO_PLUGIN_CLASH; and what its setup throws. */
  use(given: Usable, qudo: unknown): void {
    if (isPlugin(given)) this.usePlugin(given, qudo);
    else this.hooks.add(checkHooks(given, "use"));
  }

  /** False when it was not in use. Nothing new begins with it; resolves when it is torn down. @throws what its teardown throws. */
  async unuse(given: Usable): Promise<boolean> {
    if (!isPlugin(given)) return this.hooks.remove(given);
    const at = this.inUse.findIndex(({ plugin }) => plugin === given);
    if (at < 0) return false;
    const [used] = this.inUse.splice(at, 1);
    await this.takeOut(used!);
    return true;
  }

  /** Those used last go first; one that cannot be torn down holds up no other. */
  async close(): Promise<void> {
    for (let used = this.inUse.pop(); used !== undefined; used = this.inUse.pop())
      try {
        await this.takeOut(used);
      } catch (error) {
        this.complaints.say(`teardown of the plugin ${show(used.plugin.name)}`, error);
      }
  }

  private usePlugin(plugin: Plugin, qudo: unknown): void {
    const { name } = plugin;
    const other = this.inUse.find(({ plugin }) => plugin.name === name);
    if (other !== undefined)
      throw new InvalidInputError(
        other.plugin === plugin ? "QUDO_HOOKS_TWICE" : "QUDO_PLUGIN_CLASH",
        other.plugin === plugin
          ? `The plugin ${show(name)} is in use already. Use it once.`
          : `Two plugins are named ${show(name)}. Use one of them.`,
      );
    const parts = plugin.setup(qudo);
    const hooks = [parts.hooks ?? []].flat() as Hooks[];
    for (const [i, one] of hooks.entries())
      try {
        this.hooks.add(one, one.name ?? name);
      } catch (error) {
        for (const added of hooks.slice(0, i)) this.hooks.remove(added);
        throw error;
      }
    const failed = (error: unknown): void =>
      this.complaints.say(`maintenance of the plugin ${show(name)}`, error);
    const endRounds = roundsOf(parts).map((round) => this.rounds.add({ ...round, failed }));
    this.inUse.push({ plugin, parts, hooks, endRounds });
    this.shown = named(this.inUse);
  }

  private async takeOut({ parts, hooks, endRounds }: InUse): Promise<void> {
    for (const one of hooks) this.hooks.remove(one);
    this.shown = named(this.inUse);
    await Promise.all(endRounds.map((end) => end()));
    await parts.teardown?.();
  }
}

/** Without a prototype: a plugin may be called "constructor". */
function named(inUse: readonly InUse[]): AnyPlugins {
  const plugins: Record<string, unknown> = Object.create(null);
  for (const { plugin, parts } of inUse) plugins[plugin.name] = parts.api;
  return Object.freeze(plugins);
}

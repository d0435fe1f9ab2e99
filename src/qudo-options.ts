/** What a Qudo may be made with, and what its jobs demand of that. */
import type { AnyJobDefinition, ContextOf, PluginsNeededBy } from "./core/job.js";
import type { KeepPolicy } from "./core/keep.js";
import type { QueueLimits } from "./core/limits/spec.js";
import type { PluginsOf, Usable } from "./core/plugins.js";
import type { Serializer } from "./core/serializer.js";
import type { Databases, Placement } from "./storage/database.js";
import type { Logger } from "./worker/options.js";

/** What a Qudo is made with. */
export interface QudoOptions<
  Jobs extends readonly AnyJobDefinition[] = readonly AnyJobDefinition[],
  Used extends readonly Usable[] = readonly Usable[],
> {
  /**
   * Where the jobs are: "sqlite:jobs.db", "postgres://…", "mysql://…", or an object with more to say; or a list of such objects, each
   * with a name, which are used as one. Uniqueness, limits and order hold within each of them.
   */
  databases: Databases;
  /** Several databases: where new jobs go. Default "spread". */
  placement?: Placement;
  /** Several databases: how many seconds one that is out is left in peace before it is tried again. Default 30. */
  retrySeconds?: number;
  /** Is told when one of several databases goes out or comes back. Default: warnings and errors go to the console. */
  logger?: Logger;
  /** What a worker here can do. Producers need none. */
  jobs?: Jobs;
  /** What handlers find as `job.context`. Needed where a job is defined with one (`jobsWith`). */
  context?: ContextOf<Jobs>;
  /** Hooks and plugins, in this order: the same as `qudo.use`. Default: none. */
  use?: Used;
  /** How the payloads of jobs are stored whose kind does not say. Default: `json`. */
  serializer?: Serializer;
  /** Read, too, beside those of `jobs` and the package's own: whatever wrote rows that are still there. */
  serializers?: readonly Serializer[];
  /** Creates or upgrades the tables at first use. Default true. */
  migrate?: boolean;
  /** How long ended jobs and figures are kept that have no keep time of their own. Default: done 24 h, other 30 d, counts 7 d. */
  keep?: KeepPolicy;
  /**
   * Limits of queues, by name, declared by the workers of this Qudo when they start: the last one counts, for all who work there.
   * Null takes them away; queues that are not named stay as they are. Kinds say theirs themselves (`defineJob`).
   */
  queueLimits?: Readonly<Record<string, QueueLimits | null>>;
}

/** Demands the context where one of the jobs needs it. */
export type NeedsContext<Jobs extends readonly AnyJobDefinition[]> =
  unknown extends ContextOf<Jobs> ? unknown : { readonly context: ContextOf<Jobs> };

/** Demands the plugins that one of the jobs needs. */
export type NeedsPlugins<Jobs extends readonly AnyJobDefinition[], Used extends readonly Usable[]> =
  PluginsOf<Used> extends PluginsNeededBy<Jobs>
    ? unknown
    : { readonly use: "A job needs a plugin that is not among these." };

export const KNOWN_OPTIONS = [
  "databases",
  "placement",
  "retrySeconds",
  "logger",
  "jobs",
  "context",
  "use",
  "serializer",
  "serializers",
  "migrate",
  "keep",
  "queueLimits",
] as const satisfies readonly (keyof QudoOptions)[];

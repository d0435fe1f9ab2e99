/**
 * Hooks: code of others around enqueueing and working. A set of them is a plain object; it is for all kinds, or for some, or
 * stands in the definition of one. Those that were added first are outermost: before the deed they are called in the order in which they
 * were added, those of the job's own definition last; after it in the reverse order.
 */
import { InvalidInputError } from "./errors.js";
import type { EnqueueOptions } from "./order.js";
import { checkName, checkOptions, show } from "./options.js";
import type { Reason, RunState } from "./states.js";

/** A job that is about to be enqueued, in `preEnqueue` and `around.enqueue`. */
export interface EnqueueDraft {
  readonly kind: string;
  /** The id it will have. */
  readonly id: string;
  /** As its handler would be given it, before the schema has seen it. Assign another one to change it. */
  payload: unknown;
  /** What was said of the job beside its payload. Assign to change it; it is checked afterwards. */
  options: EnqueueOptions;
}

/** A payload on its way into the database or out of it, in `serialize` and `deserialize`. */
export interface PayloadDraft {
  readonly kind: string;
  readonly id: string;
  readonly queue: string;
  /** Assign another one to change it. */
  payload: unknown;
}

/** A job that was enqueued, in `postEnqueue`. */
export interface EnqueuedJob {
  readonly kind: string;
  readonly id: string;
  readonly queue: string;
  readonly payload: unknown;
  /** What became of the enqueue. */
  readonly status: "inserted" | "duplicate" | "unique";
  /** The job that has the unique key; null unless status is "unique". */
  readonly holder: string | null;
  /** Which one of several databases was asked. Absent where there is one. */
  readonly database?: string;
}

/** What became of a run, in `postWork`, `onFailed` and `onAbandoned`: the database has it. */
export interface WorkOutcome {
  /** "failed": it will be tried again. "abandoned": it will not. "lost": others had decided it, and nothing of it counts. */
  readonly state: RunState | "lost";
  /** Why it was abandoned. */
  readonly reason: Reason | null;
  /** What the handler returned, as JSON carried it. */
  readonly result: unknown;
  /** What is kept of the error, its secrets masked. */
  readonly error: string | null;
  /** What was thrown, as it is: not masked. */
  readonly thrown: unknown;
  /** When it is tried again, in milliseconds from its end; null when it is not. */
  readonly delayMs: number | null;
  /** Milliseconds since the run began. */
  readonly elapsedMs: number;
}

/** What goes on inside of an `around`. It can be called once. */
export type Next<Result = unknown> = () => Promise<Result>;

/** Hooks that have an inside. */
export interface Around<Job> {
  /**
   * Around the whole of an enqueue: checks, hooks and the commit. It calls `next()` once; what fails in there stays failed. To refuse the
   * job, throw.
   */
  enqueue?(job: EnqueueDraft, next: Next<EnqueuedJob>): void | Promise<void>;
  /**
   * Around the handler and `preWork`. What it returns takes the place of the result, undefined leaves it as it is. What it throws fails
   * the run. To answer without the handler, return something without calling `next()`.
   */
  work?(job: Job, next: Next): unknown;
}

/** A set of hooks; {@link Job} is what hooks of working are given. All may answer with a promise. */
export interface HooksOf<Job> {
  /** For messages, and in events about hooks that failed. Default "hooks". */
  readonly name?: string;
  /** Only for jobs of these kinds: names or definitions. Default: all. */
  readonly kinds?: readonly (string | { readonly kind: string })[];
  /** Before a job is checked and written: may change it. Throwing refuses this job, and no other one. */
  preEnqueue?(job: EnqueueDraft): void | Promise<void>;
  /** After the schema, before the payload is written: may put another one in its place. Throwing refuses this job. */
  serialize?(job: PayloadDraft): void | Promise<void>;
  /** After the commit. Throwing changes nothing: it is told, and the job is there. */
  postEnqueue?(job: EnqueuedJob): void | Promise<void>;
  /** The reverse of `serialize`, before the schema. Throwing fails the run. */
  deserialize?(job: PayloadDraft): void | Promise<void>;
  /** Before the handler. Throwing fails the run, as if the handler had thrown. */
  preWork?(job: Job): void | Promise<void>;
  /** After the database has what became of the run. Throwing changes nothing: it is told. */
  postWork?(job: Job, outcome: WorkOutcome): void | Promise<void>;
  /** Like `postWork`, for a run that failed and will be tried again. */
  onFailed?(job: Job, outcome: WorkOutcome): void | Promise<void>;
  /** Like `postWork`, for a run with which the job was given up. */
  onAbandoned?(job: Job, outcome: WorkOutcome): void | Promise<void>;
  readonly around?: Around<Job>;
}

const POINTS = [
  "preEnqueue",
  "serialize",
  "postEnqueue",
  "deserialize",
  "preWork",
  "postWork",
  "onFailed",
  "onAbandoned",
] as const;

/** A place at which hooks are called. */
export type HookPoint = (typeof POINTS)[number] | "around.enqueue" | "around.work";

/** One hook of one set. */
export interface Hook<Call> {
  readonly name: string;
  readonly call: Call;
}

type Calls<Fn> = readonly Hook<NonNullable<Fn>>[];

/** All hooks for one kind of job, in the order in which they are called. */
export interface Chain<Job> {
  readonly preEnqueue: Calls<HooksOf<Job>["preEnqueue"]>;
  readonly serialize: Calls<HooksOf<Job>["serialize"]>;
  readonly postEnqueue: Calls<HooksOf<Job>["postEnqueue"]>;
  readonly deserialize: Calls<HooksOf<Job>["deserialize"]>;
  readonly preWork: Calls<HooksOf<Job>["preWork"]>;
  readonly postWork: Calls<HooksOf<Job>["postWork"]>;
  readonly onFailed: Calls<HooksOf<Job>["onFailed"]>;
  readonly onAbandoned: Calls<HooksOf<Job>["onAbandoned"]>;
  /** Whether any of them is called when a job is enqueued, and when it is worked on. */
  readonly enqueues: boolean;
  readonly works: boolean;
  readonly aroundEnqueue: Calls<Around<Job>["enqueue"]>;
  readonly aroundWork: Calls<Around<Job>["work"]>;
}

/** A kind of job, as far as hooks go. */
export interface Hooked<Job> {
  readonly kind: string;
  readonly hooks: readonly HooksOf<Job>[] | null;
}

/** A set of hooks, and what it is called in messages. */
export interface NamedHooks<Job> {
  readonly hooks: HooksOf<Job>;
  readonly name: string;
}

/** The hooks of one Qudo. What has begun goes on with those it began with. */
export class HookSet<Job> {
  private all: readonly NamedHooks<Job>[] = [];
  private chains = new WeakMap<Hooked<Job>, Chain<Job>>();

  /** @throws InvalidInputError QUDO_HOOKS_TWICE. */
  add(hooks: HooksOf<Job>, name = nameOf(hooks)): void {
    if (this.has(hooks))
      throw new InvalidInputError(
        "QUDO_HOOKS_TWICE",
        `The hooks ${show(name)} are in use already. Use them once, or make another object.`,
      );
    this.replace([...this.all, { hooks, name }]);
  }

  /** False when they were not there. */
  remove(hooks: HooksOf<Job>): boolean {
    if (!this.has(hooks)) return false;
    this.replace(this.all.filter((other) => other.hooks !== hooks));
    return true;
  }

  /** Null where none is called then: two looks, and nothing else happens. */
  for(job: Hooked<Job> | undefined, then: "enqueues" | "works"): Chain<Job> | null {
    // Definitions of an older copy of this package have no hooks at all; and what is none is refused elsewhere.
    if (this.all.length === 0 && (job?.hooks ?? null) === null) return null;
    if (typeof job !== "object" || job === null) return null;
    let chain = this.chains.get(job);
    if (chain === undefined) this.chains.set(job, (chain = this.compile(job)));
    return chain[then] ? chain : null;
  }

  private has(hooks: HooksOf<Job>): boolean {
    return this.all.some((other) => other.hooks === hooks);
  }

  private replace(all: readonly NamedHooks<Job>[]): void {
    this.all = all;
    this.chains = new WeakMap();
  }

  private compile({ kind, hooks }: Hooked<Job>): Chain<Job> {
    const own = (hooks ?? []).map((hooks) => ({ hooks, name: hooks.name ?? kind }));
    return chainOf([...this.all, ...own].filter(({ hooks }) => isFor(hooks, kind)));
  }
}

/** Of the sets in this order, the outermost first. */
export function chainOf<Job>(sets: readonly NamedHooks<Job>[]): Chain<Job> {
  const calls = <Fn>(of: (hooks: HooksOf<Job>) => Fn | undefined): Hook<NonNullable<Fn>>[] =>
    sets.flatMap(({ hooks, name }) => {
      const call = of(hooks);
      return call == null ? [] : [{ name, call }];
    });
  const chain = {
    preEnqueue: calls((hooks) => hooks.preEnqueue?.bind(hooks)),
    serialize: calls((hooks) => hooks.serialize?.bind(hooks)),
    postEnqueue: calls((hooks) => hooks.postEnqueue?.bind(hooks)).toReversed(),
    deserialize: calls((hooks) => hooks.deserialize?.bind(hooks)).toReversed(),
    preWork: calls((hooks) => hooks.preWork?.bind(hooks)),
    postWork: calls((hooks) => hooks.postWork?.bind(hooks)).toReversed(),
    onFailed: calls((hooks) => hooks.onFailed?.bind(hooks)).toReversed(),
    onAbandoned: calls((hooks) => hooks.onAbandoned?.bind(hooks)).toReversed(),
    aroundEnqueue: calls(({ around }) => around?.enqueue?.bind(around)),
    aroundWork: calls(({ around }) => around?.work?.bind(around)),
  };
  return {
    ...chain,
    enqueues: any(chain.preEnqueue, chain.serialize, chain.postEnqueue, chain.aroundEnqueue),
    works: any(
      chain.deserialize,
      chain.preWork,
      chain.postWork,
      chain.onFailed,
      chain.onAbandoned,
      chain.aroundWork,
    ),
  };
}

function any(...points: readonly (readonly Hook<unknown>[])[]): boolean {
  return points.some((hooks) => hooks.length > 0);
}

function isFor<Job>({ kinds }: HooksOf<Job>, kind: string): boolean {
  return kinds?.some((one) => (typeof one === "string" ? one : one.kind) === kind) ?? true;
}

function nameOf({ name }: { readonly name?: string }): string {
  return name ?? "hooks";
}

const KNOWN: readonly string[] = ["name", "kinds", "around", ...POINTS];

/** @throws InvalidInputError for what is no set of hooks. */
export function checkHooks<Job>(hooks: HooksOf<Job>, where: string): HooksOf<Job> {
  // Not even to be left out.
  checkOptions(hooks ?? null, KNOWN, where);
  const { name, kinds, around } = hooks;
  if (name !== undefined) checkName(name, `${where}: name`);
  for (const point of POINTS) checkFunction(hooks[point], `${where}: ${point}`);
  checkOptions(around, ["enqueue", "work"], `${where}: around`);
  checkFunction(around?.enqueue, `${where}: around.enqueue`);
  checkFunction(around?.work, `${where}: around.work`);
  if (kinds === undefined) return hooks;
  if (!Array.isArray(kinds))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `${where}: kinds is ${show(kinds)}; give a list of names or definitions.`,
    );
  for (const one of kinds as readonly (string | { kind?: unknown } | null)[])
    checkName(typeof one === "string" ? one : one?.kind, `${where}: kind`);
  return hooks;
}

/** Something that was meant as hooks: it has one of them. */
export function looksLikeHooks<Job>(value: unknown): value is HooksOf<Job> {
  if (typeof value !== "object" || value === null) return false;
  return [...POINTS, "around"].some((point) => Object.hasOwn(value, point));
}

function checkFunction(value: unknown, what: string): void {
  if (value !== undefined && typeof value !== "function")
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `${what} is ${show(value)}; give a function.`,
    );
}

/** One set, a list of them, or none. @throws InvalidInputError. */
export function hooksOf<Job>(
  given: HooksOf<Job> | readonly HooksOf<Job>[] | undefined,
  where: string,
): readonly HooksOf<Job>[] | null {
  if (given === undefined) return null;
  const list = (Array.isArray(given) ? given : [given]) as readonly HooksOf<Job>[];
  return Object.freeze(list.map((hooks) => checkHooks(hooks, where)));
}

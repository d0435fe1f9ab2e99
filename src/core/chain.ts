/**
 * How hooks are called. Everything here answers at once as long as all that it calls does: an enqueue in a synchronous
 * transaction has hooks, too.
 */
import { QudoError } from "./errors.js";
import type { Hook, HookPoint } from "./hooks.js";
import { show } from "./options.js";

/** A value that may have to be waited for. */
export type Maybe<T> = T | Promise<T>;

/** Goes on with it now, or when it is there. */
export function after<T, U>(value: Maybe<T>, go: (value: T) => Maybe<U>): Maybe<U> {
  return isPromise(value) ? (value as Promise<T>).then(go) : go(value as T);
}

/** Anything that has to be waited for, of whatever library. */
export function isPromise(value: unknown): value is Promise<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

/** Does it, and tells of its failure on the way. */
export function noting<T>(work: () => Maybe<T>, refused?: (error: unknown) => void): Maybe<T> {
  const failed = (error: unknown): never => {
    refused?.(error);
    throw error;
  };
  try {
    const value = work();
    return isPromise(value) ? value.catch(failed) : value;
  } catch (error) {
    return failed(error);
  }
}

/** Calls one after the other; the first that throws ends it. */
export function inTurn<Call>(
  hooks: readonly Hook<Call>[],
  call: (hook: Call) => unknown,
  from = 0,
): Maybe<void> {
  for (let i = from; i < hooks.length; i++) {
    const answer = call(hooks[i]!.call);
    if (isPromise(answer)) return answer.then(() => inTurn(hooks, call, i + 1));
  }
}

/** Calls one after the other whatever they throw, which is told. */
export function allInTurn<Call>(
  hooks: readonly Hook<Call>[],
  call: (hook: Call) => unknown,
  failed: (hook: string, error: unknown) => void,
  from = 0,
): Maybe<void> {
  for (let i = from; i < hooks.length; i++) {
    const { name, call: hook } = hooks[i]!;
    try {
      const answer = call(hook);
      if (isPromise(answer))
        return answer
          .then(undefined, (error: unknown) => failed(name, error))
          .then(() => allInTurn(hooks, call, failed, i + 1));
    } catch (error) {
      failed(name, error);
    }
  }
}

/** Something to go into, from outside. */
export interface Layers<Call, Result> {
  readonly point: HookPoint;
  readonly hooks: readonly Hook<Call>[];
  /** Calls one hook, with what lets it go on. */
  enter(hook: Hook<Call>, next: () => Promise<Result>): unknown;
  core(): Maybe<Result>;
}

/**
 * Layer by layer to the core and back. `answered` says what a layer's result is, of what it returned and of what its inside
 * gave; undefined where it never went in.
 * @throws QudoError QUDO_HOOK_MISUSED, into a layer that goes in twice.
 */
export function onion<Call, Result>(
  layers: Layers<Call, Result>,
  answered: (returned: unknown, inside: Inside<Result> | undefined, hook: string) => Maybe<Result>,
  depth = 0,
): Maybe<Result> {
  const hook = layers.hooks[depth];
  if (hook === undefined) return layers.core();
  let inside: Inside<Result> | undefined;
  let left = false;
  const next = (): Promise<Result> => {
    if (inside !== undefined || left) throw notOnce(hook.name, layers.point);
    inside = new Inside(() => onion(layers, answered, depth + 1));
    return inside.promise();
  };
  const returned = layers.enter(hook, next);
  return after(returned, (value) => {
    left = true;
    return answered(value, inside, hook.name);
  });
}

/** What `next()` went into: what it gave, at once or later. */
export class Inside<Result> {
  private value: Maybe<Result> | undefined;
  private thrown: { readonly error: unknown } | null = null;

  constructor(go: () => Maybe<Result>) {
    try {
      this.value = go();
    } catch (error) {
      this.thrown = { error };
    }
  }

  /** @throws what it threw. */
  get(): Maybe<Result> {
    if (this.thrown !== null) throw this.thrown.error;
    return this.value as Maybe<Result>;
  }

  promise(): Promise<Result> {
    const { thrown, value } = this;
    const promise = thrown === null ? Promise.resolve(value!) : Promise.reject(thrown.error);
    // Whoever does not await it learns of it all the same, from what the layer is asked for.
    promise.catch(() => undefined);
    return promise;
  }
}

/** A layer that neither went in nor answered in its place: nothing may be taken for done that was not. */
export function notEntered(hook: string, point: HookPoint): QudoError {
  return new QudoError(
    "QUDO_HOOK_MISUSED",
    `${point} of ${show(hook)} returned without calling next(). Call it once, or throw.`,
  );
}

function notOnce(hook: string, point: HookPoint): QudoError {
  return new QudoError(
    "QUDO_HOOK_MISUSED",
    `${point} of ${show(hook)} called next() twice, or after it had returned. Call it once, and await it.`,
  );
}

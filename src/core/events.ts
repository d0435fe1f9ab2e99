/**
 * What happens to jobs and workers, told as it happens. Whoever emits knows `Emit` only; nothing is made when nobody listens.
 */
import type { HookPoint } from "./hooks.js";
import type { Reason } from "./states.js";

/** A job, in an event. */
export interface JobRef {
  readonly id: string;
  readonly kind: string;
  readonly queue: string;
  /** Which one of several databases it is in. Absent where there is one. */
  readonly database?: string;
}

/** One run of it. */
export interface RunRef extends JobRef {
  readonly run: number;
  readonly attempt: number;
}

/** An end of a run that the database has accepted. */
export interface RunEnd extends RunRef {
  /** Milliseconds since the handler started; null when it never did. */
  readonly elapsedMs: number | null;
}

/** A worker's session, in an event. */
export interface SessionRef {
  readonly session: string;
  /** Which one of several databases it is in. Absent where there is one. */
  readonly database?: string;
}

/** One of several databases is out, is back, or is used for more or less than before. */
export interface DatabaseChange {
  readonly name: string;
  readonly from: DatabaseCondition;
  readonly to: DatabaseCondition;
  /** Why; null where it is back. */
  readonly reason: string | null;
}

/** A hook threw where that changes nothing: the job was enqueued, or its run has its outcome. */
export interface FailedHook extends JobRef {
  /** The name of the hooks, or of their plugin. */
  readonly hook: string;
  readonly point: HookPoint;
  readonly error: unknown;
}

/** In a sentence without its end: the error. */
export function inWords({ hook, point, kind }: FailedHook): string {
  return `${point} of the hooks "${hook}" for a job "${kind}"`;
}

/** Whether it can be used at all, or what it is used for. */
export type DatabaseCondition = "healthy" | "out" | "active" | "drain" | "off";

/** Every event and what it carries. All are told after the commit that made them true, `started` before the handler. */
export interface QudoEvents {
  enqueued: JobRef & { readonly status: "inserted" | "duplicate" | "unique" };
  started: RunRef;
  done: RunEnd;
  /** It will be tried again after `delayMs`. */
  failed: RunEnd & { readonly error: string; readonly delayMs: number };
  abandoned: RunEnd & { readonly reason: Reason; readonly error: string | null };
  snoozed: RunEnd & { readonly delayMs: number };
  released: RunEnd;
  /** It ended here, but had been decided by others: nothing of it counts. */
  lost: RunEnd;
  /** A worker's session is open. Over several databases a worker has one in each of them. */
  "worker:started": SessionRef & { readonly name: string };
  "worker:stopped": SessionRef;
  /** The worker's session was ended by others; it goes on under a new one. */
  "worker:lost": SessionRef;
  /** One of several databases, as this process sees it. */
  database: DatabaseChange;
  /** A hook failed where that changes nothing. */
  "hook:failed": FailedHook;
  /** The database could not do something; it is tried again. */
  trouble: { readonly what: string; readonly error: Error; readonly database?: string };
}

/** The name of one of {@link QudoEvents}. */
export type EventName = keyof QudoEvents;

const NAMES: Readonly<Record<EventName, true>> = {
  enqueued: true,
  started: true,
  done: true,
  failed: true,
  abandoned: true,
  snoozed: true,
  released: true,
  lost: true,
  "worker:started": true,
  "worker:stopped": true,
  "worker:lost": true,
  database: true,
  "hook:failed": true,
  trouble: true,
};

export const EVENT_NAMES = Object.keys(NAMES) as readonly EventName[];

/** How whoever makes something happen tells of it. Never throws: listeners are others' code. */
export interface Emit {
  /** `make` is called only when somebody listens. */
  <Name extends EventName>(name: Name, make: () => QudoEvents[Name]): void;
  /** Whether anybody listens to it: asked first on hot paths, where even `make` would cost something. */
  listening(name: EventName): boolean;
}

/** Nobody listens. */
export const silent: Emit = Object.assign((): void => undefined, { listening: () => false });

/** The driver of one of several databases: each operation held against the health of that database, and refused while it is out. */
import { QudoError } from "../../core/errors.js";
import type { DatabaseMode, Driver, TripOutcome } from "../driver.js";
import type { Doing } from "./health.js";

/** How {@link Guarded.call} treats an operation. */
export interface CallOptions<T> {
  /** Default "working". */
  readonly doing?: Doing;
  /** It settles or keeps alive what is held there: it goes through while the database is out. Default false. */
  readonly through?: boolean;
  /** Whether this answer proves a write, and with it that the database is back. */
  readonly wrote?: (value: T) => boolean;
}

/** What the guard asks of the one that it guards. */
export interface Guarded {
  readonly mode: DatabaseMode;
  /** Null before it has been opened. */
  readonly opened: Driver | null;
  whenOpened(then: (driver: Driver) => void): void;
  ready(): Promise<Driver>;
  /** One operation, as long as the database is not out; what becomes of it is held against its health. */
  call<T>(perform: (driver: Driver) => Promise<T>, options?: CallOptions<T>): Promise<T>;
  /** The same on a database that may not have its tables yet. */
  callOpen<T>(perform: (driver: Driver) => Promise<T>): Promise<T>;
  modeIs(mode: DatabaseMode): void;
  close(): Promise<void>;
}

const LOOKING = { doing: "looking" } as const;

export function guard(part: Guarded, label: string): Driver {
  return {
    label,
    get capabilities() {
      return part.opened?.capabilities ?? { wakeups: false };
    },
    ...life(part, label),
    ...working(part),
    ...looking(part),
    subscribe: (onChange) => subscribe(part, onChange),
    listens: () => {
      const driver = part.opened;
      return driver?.subscribe !== undefined && (driver.listens?.() ?? true);
    },
  };
}

function life(part: Guarded, label: string) {
  return {
    migrate: async () => {
      const report = await part.callOpen((driver) => driver.migrate());
      await part.ready();
      return report;
    },
    schemaVersion: () => part.callOpen((driver) => driver.schemaVersion()),
    ping: call(part, "ping"),
    close: () => part.close(),
    identify: (name) => part.call((driver) => driver.identify(name)),
    rename: (name, copy) => part.callOpen((driver) => driver.rename(name, copy)),
    setMode: async (mode) => {
      await part.call((driver) => driver.setMode(mode));
      part.modeIs(mode);
    },
    grants: () => part.callOpen(async (driver) => driver.grants?.() ?? unsupported(label)),
    backup: (path) =>
      part.call(async (driver) => driver.backup?.(path) ?? unsupported(label), LOOKING),
    compact: () => part.call(async (driver) => driver.compact?.() ?? unsupported(label), LOOKING),
  } satisfies Partial<Driver>;
}

/** What settles or keeps alive what is held there goes through at any time, and where it wrote the database is back. */
function working(part: Guarded) {
  return {
    insertJobs: call(part, "insertJobs"),
    openSession: call(part, "openSession"),
    heartbeat: (beat) =>
      part.call((driver) => driver.heartbeat(beat), {
        through: true,
        wrote: ({ alive }) => alive,
      }),
    closeSession: (session) =>
      part.call((driver) => driver.closeSession(session), {
        through: true,
        wrote: (closed) => closed,
      }),
    keepAlive: (session, times) =>
      part.call(async (driver) => driver.keepAlive?.(session, times), { through: true }),
    reap: call(part, "reap"),
    trip: ({ settle, claim }) => {
      // What is off gives nothing out; what it gave out before may still end.
      const trip = { settle, claim: part.mode === "off" ? null : claim };
      return part.call((driver) => driver.trip(trip), {
        through: settle.length > 0,
        wrote: isAccepted,
      });
    },
    markStarted: call(part, "markStarted"),
    payloads: call(part, "payloads"),
    release: (session, leases) =>
      part.call((driver) => driver.release(session, leases), {
        through: true,
        wrote: (released) => released > 0,
      }),
    report: call(part, "report"),
    promote: call(part, "promote"),
    prune: call(part, "prune"),
    cancel: call(part, "cancel"),
    retry: call(part, "retry"),
    purge: call(part, "purge"),
    reschedule: call(part, "reschedule"),
    enqueueFromFailed: call(part, "enqueueFromFailed"),
    dismiss: call(part, "dismiss"),
    setPaused: call(part, "setPaused"),
  } satisfies Partial<Driver>;
}

function looking(part: Guarded) {
  return {
    sessions: call(part, "sessions", LOOKING),
    getJobs: call(part, "getJobs", LOOKING),
    listJobs: call(part, "listJobs", LOOKING),
    endings: call(part, "endings", LOOKING),
    listLog: call(part, "listLog", LOOKING),
    tally: call(part, "tally", LOOKING),
    listAttempts: call(part, "listAttempts", LOOKING),
    counts: call(part, "counts", LOOKING),
    audit: call(part, "audit", LOOKING),
  } satisfies Partial<Driver>;
}

/** Those that go over as they are. */
type Operation = {
  [K in keyof Driver]-?: Driver[K] extends (...values: never[]) => Promise<unknown> ? K : never;
}[keyof Driver];

function call<K extends Operation>(
  part: Guarded,
  operation: K,
  options: CallOptions<unknown> = {},
): Driver[K] {
  const passed = (...values: never[]): Promise<unknown> =>
    part.call(
      (driver) => (driver[operation] as (...values: never[]) => Promise<unknown>)(...values),
      options,
    );
  return passed as Driver[K];
}

const isAccepted = ({ settled }: TripOutcome): boolean =>
  settled.some((group) => group.includes("accepted"));

/** From the moment on at which the database is open. */
function subscribe(part: Guarded, onChange: () => void): () => void {
  let stop: (() => void) | null = null;
  let over = false;
  part.whenOpened((driver) => {
    if (!over) stop = driver.subscribe?.(onChange) ?? null;
  });
  return () => {
    over = true;
    stop?.();
  };
}

function unsupported(label: string): never {
  throw new QudoError("QUDO_UNSUPPORTED", `${label} is no database that can do this.`);
}

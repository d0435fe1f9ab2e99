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
  const call = <K extends Operation>(operation: K): Driver[K] => pass(part, operation, {});
  const look = <K extends Operation>(operation: K): Driver[K] => pass(part, operation, LOOKING);
  return {
    label,
    get capabilities() {
      return part.opened?.capabilities ?? { wakeups: false };
    },
    migrate: async () => {
      const report = await part.callOpen((driver) => driver.migrate());
      await part.ready();
      return report;
    },
    schemaVersion: () => part.callOpen((driver) => driver.schemaVersion()),
    ping: call("ping"),
    close: () => part.close(),
    insertJobs: call("insertJobs"),
    openSession: call("openSession"),
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
    sessions: look("sessions"),
    reap: call("reap"),
    trip: ({ settle, claim }) => {
      // What is off gives nothing out; what it gave out before may still end.
      const trip = { settle, claim: part.mode === "off" ? null : claim };
      return part.call((driver) => driver.trip(trip), {
        through: settle.length > 0,
        wrote: isAccepted,
      });
    },
    markStarted: call("markStarted"),
    payloads: call("payloads"),
    release: (session, leases) =>
      part.call((driver) => driver.release(session, leases), {
        through: true,
        wrote: (released) => released > 0,
      }),
    report: call("report"),
    promote: call("promote"),
    prune: call("prune"),
    cancel: call("cancel"),
    retry: call("retry"),
    setPaused: call("setPaused"),
    getJobs: look("getJobs"),
    listJobs: look("listJobs"),
    endings: look("endings"),
    listLog: look("listLog"),
    tally: look("tally"),
    listAttempts: look("listAttempts"),
    counts: look("counts"),
    audit: look("audit"),
    identify: (name) => part.call((driver) => driver.identify!(name)),
    setMode: async (mode) => {
      await part.call((driver) => driver.setMode!(mode));
      part.modeIs(mode);
    },
    grants: () => part.callOpen(async (driver) => driver.grants?.() ?? unsupported(label)),
    backup: (path) =>
      part.call(async (driver) => driver.backup?.(path) ?? unsupported(label), LOOKING),
    compact: () => part.call(async (driver) => driver.compact?.() ?? unsupported(label), LOOKING),
    subscribe: (onChange) => subscribe(part, onChange),
    listens: () => {
      const driver = part.opened;
      return driver?.subscribe !== undefined && (driver.listens?.() ?? true);
    },
  };
}

/** Those that go over as they are. */
type Operation = {
  [K in keyof Driver]-?: Driver[K] extends (...values: never[]) => Promise<unknown> ? K : never;
}[keyof Driver];

function pass<K extends Operation>(
  part: Guarded,
  operation: K,
  options: CallOptions<unknown>,
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

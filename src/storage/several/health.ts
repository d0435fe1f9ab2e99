/**
 * The circuit breaker of one database in one process. It decides and remembers, and asks nobody: time and chance are given, probes
 * are sent by whoever asks it.
 *
 *   healthy ── a connection's error, or 3 time-outs within 10 s ──► out ── retryMs ± 10 % ──► probing
 *      ▲                                                            │ ▲                        │ │
 *      │◄─── something held there was settled or kept alive ────────┘ └──── the probe failed ──┘ │
 *      └──────────────────────── the probe wrote ────────────────────────────────────────────────┘
 */
import { DatabaseError, type ErrorCode } from "../../core/errors.js";
import type { DatabaseStatus } from "../driver.js";
import { ConflictError } from "../sql/errors.js";
import type { Surroundings } from "./surroundings.js";

export type State = DatabaseStatus["state"];

/**
 * What was being done when an error came. "opening": connecting, making tables, asking who it is. "looking": lists and counts,
 * which may be slow because they are large. "working": all the rest, where a time-out is a sign.
 */
export type Doing = "opening" | "working" | "looking";

/** So many time-outs … */
const TIMEOUTS = 3;
/** … within so many milliseconds are a database that is out. */
const WITHIN_MS = 10_000;

/** What an error says of its database: it is out; it was late, which is a sign when it comes often; or nothing. */
type Sign = "out" | "late" | "none";

/** By code. Those that are not here say nothing: statements and constraints that were refused, input that was wrong. */
const SIGNS: Partial<Readonly<Record<ErrorCode, Sign>>> = {
  // Nobody answers, or not to us: dead, unplugged, another password, a certificate that has run out. All are told at once or after
  // the time-outs of one call, and the next call would fare no better.
  QUDO_DATABASE_UNREACHABLE: "out",
  // A standby, or a file system that was remounted: nothing can be enqueued, claimed or settled.
  QUDO_DATABASE_READ_ONLY: "out",
  // The same. Its disk gets no emptier by being asked.
  QUDO_DATABASE_FULL: "out",
  // A damaged file: whatever is written there makes it worse.
  QUDO_DATABASE_UNREADABLE: "out",
  // A statement that took too long, a server without a free connection, a file that others hold: once is nothing.
  QUDO_DATABASE_BUSY: "late",
};

/** What is wrong here and not there: it is told to everybody who calls, and no waiting mends it. */
const OURS: ReadonlySet<ErrorCode> = new Set(["QUDO_PACKAGE_MISSING", "QUDO_NETWORK_FILE_SYSTEM"]);

export interface HealthOptions {
  /** The middle of the time after which a database that is out is tried again. */
  readonly retryMs: number;
  readonly surroundings: Pick<Surroundings, "now" | "wall" | "chance">;
}

/** What {@link Health.begin} gives to an operation, to tell whether its end is news. */
export type Era = number;

export class Health {
  state: State = "healthy";
  /** Why it is out. */
  reason: string | null = null;
  /** Milliseconds UTC. */
  since: number;
  retryAt: number | null = null;
  /** Without room: a sign of life, which changes a few bytes that are there, says nothing. Only the probe does. */
  private full = false;
  /** Monotonic. */
  private dueAt = 0;
  private timeouts: number[] = [];
  private era: Era = 0;

  constructor(private readonly options: HealthOptions) {
    this.since = options.surroundings.wall();
  }

  /** An operation begins. */
  begin(): Era {
    return this.era;
  }

  /** An operation failed. True when that has changed something: it is out now. */
  failed(error: unknown, doing: Doing, begun: Era): boolean {
    // Sent before it was out and back: what it says is old.
    if (this.state !== "healthy" || begun !== this.era) return false;
    const sign = signOf(error, doing);
    if (sign === "none" || (sign === "late" && !this.tooLate())) return false;
    return this.goOut(error);
  }

  /** Something was written there by an operation that may go there at any time. True when that has changed something. */
  wrote(begun: Era): boolean {
    if (this.state === "healthy" || this.full || begun !== this.era) return false;
    return this.comeBack();
  }

  /** It has answered, which proves no write: it is worth a try at once. False where it is not out. */
  hurry(): boolean {
    if (this.state !== "out") return false;
    this.dueAt = this.now;
    return true;
  }

  /** Milliseconds until it is to be tried; null while it is healthy or being tried. */
  get dueInMs(): number | null {
    return this.state === "out" ? Math.max(0, this.dueAt - this.now) : null;
  }

  /** The moment has come. False when it has not, or somebody else tries: one at a time. */
  startProbe(): boolean {
    if (this.state !== "out" || this.now < this.dueAt) return false;
    this.state = "probing";
    this.since = this.options.surroundings.wall();
    return true;
  }

  /** The probe has ended: null when it wrote. Any error at all keeps it out. */
  probed(error: unknown): boolean {
    // Something else was written there meanwhile.
    if (this.state !== "probing") return false;
    return error === null ? this.comeBack() : this.goOut(error);
  }

  private tooLate(): boolean {
    const { now } = this;
    this.timeouts = [...this.timeouts.filter((at) => now - at < WITHIN_MS), now].slice(-TIMEOUTS);
    return this.timeouts.length >= TIMEOUTS;
  }

  private goOut(error: unknown): true {
    this.full = error instanceof DatabaseError && error.code === "QUDO_DATABASE_FULL";
    const { retryMs, surroundings } = this.options;
    const waitMs = retryMs * (0.9 + 0.2 * surroundings.chance());
    this.dueAt = this.now + waitMs;
    this.retryAt = surroundings.wall() + waitMs;
    return this.become("out", messageOf(error));
  }

  private comeBack(): true {
    this.retryAt = null;
    return this.become("healthy", null);
  }

  private become(state: State, reason: string | null): true {
    this.state = state;
    this.reason = reason;
    this.since = this.options.surroundings.wall();
    this.timeouts = [];
    this.era++;
    return true;
  }

  private get now(): number {
    return this.options.surroundings.now();
  }
}

/** What is wrong is not the database. */
export function isOurs({ code }: DatabaseError): boolean {
  return OURS.has(code);
}

function signOf(error: unknown, doing: Doing): Sign {
  if (!(error instanceof DatabaseError) || isOurs(error) || isConflict(error)) return "none";
  // A database that cannot be opened cannot be used, whatever it says: too old, no tables, a right that is missing.
  if (doing === "opening") return "out";
  const sign = SIGNS[error.code] ?? (isPassing(error) ? "late" : "none");
  return sign === "late" && doing === "looking" ? "none" : sign;
}

/** The database is well: somebody else was first, again and again. */
export function isConflict(error: DatabaseError): boolean {
  return error instanceof ConflictError && error.code === "QUDO_DATABASE_BUSY";
}

/** A disk that cannot be read at this moment, a thread that died: no fault of the statement's. */
function isPassing({ code, transient }: DatabaseError): boolean {
  return code === "QUDO_DATABASE_FAILED" && transient;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

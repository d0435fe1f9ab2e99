/**
 * Every error of the product: a stable code, a class to catch, a message that says what to do next.
 * docs/errors.md lists the same codes; a test keeps the two the same set.
 */
import type { Reason, RunState } from "./states.js";

/** The codes, each with its meaning in one line. */
export const ERROR_CODES = {
  QUDO_INVALID_DURATION: "A duration that is not one.",
  QUDO_INVALID_OPTION: "An option with a value it cannot have.",
  QUDO_UNKNOWN_OPTION: "An option that does not exist.",
  QUDO_INVALID_NAME:
    "A queue's or kind's name that is empty, too long, or holds control characters.",
  QUDO_INVALID_ID: "A job id that is no UUID.",
  QUDO_INVALID_PAYLOAD:
    "A payload that its serializer cannot carry unharmed, or that its schema refused.",
  QUDO_PAYLOAD_TOO_LARGE: "A payload past 1 MiB of UTF-8.",
  QUDO_PAYLOAD_UNREADABLE: "A stored payload that no serializer here can read.",
  QUDO_SERIALIZER_CLASH: "Two serializers with one number.",
  QUDO_HOOKS_TWICE: "Hooks, or a plugin, that are in use already.",
  QUDO_HOOK_MISUSED:
    "A hook that did not go on as it must, or answered with a promise where nobody can wait.",
  QUDO_PLUGIN_CLASH: "Two plugins, or two commands of plugins, with one name.",
  QUDO_PLUGIN_FILE: "The file given with --use exports no plugins or hooks, or cannot be loaded.",
  QUDO_INVALID_RESULT: "A handler returned something that cannot be stored.",
  QUDO_INVALID_URL: "A database address of no known kind.",
  QUDO_DUPLICATE_KIND: "Two job definitions with one name.",
  QUDO_NO_JOBS: "A worker without any job definition.",
  QUDO_CLOSED: "A Qudo, or a queue that is consumed by hand, was closed and then used.",
  QUDO_PACKAGE_MISSING: "A package that has to be installed first.",
  QUDO_DATABASE_BUSY: "Other processes held the database for too long.",
  QUDO_DATABASE_FULL: "No space left for the database.",
  QUDO_DATABASE_READ_ONLY: "The database cannot be written.",
  QUDO_DATABASE_UNREADABLE: "The file is corrupt, or no SQLite database.",
  QUDO_DATABASE_UNREACHABLE: "The database cannot be opened.",
  QUDO_DATABASE_FAILED: "The database refused a statement.",
  QUDO_DATABASE_TOO_OLD: "The database server is of a version that is not supported.",
  QUDO_DATABASE_DENIED: "The database user lacks a right.",
  QUDO_DATABASE_OUT:
    "One of several databases is out, and is left in peace until it is tried again.",
  QUDO_DATABASES_OUT: "None of several databases could take a job.",
  QUDO_DATABASE_TWICE: "Two names for one database.",
  QUDO_DATABASE_SWAPPED: "A database says that it has another name than the one it is given.",
  QUDO_UNKNOWN_DATABASE: "A name that none of the databases has.",
  QUDO_ENQUEUE_UNKNOWN: "Whether jobs were enqueued could not be found out in time.",
  QUDO_ENQUEUE_PARTLY: "Of the jobs of one enqueueMany some were written and others were not.",
  QUDO_INCOMPLETE: "Some of several databases could not be asked.",
  QUDO_WRONG_DATABASE: "A transaction on another database than this queue's.",
  QUDO_NO_TRANSACTION: "A connection on which no transaction is open was given as one.",
  QUDO_NETWORK_FILE_SYSTEM: "A SQLite file on a network file system.",
  QUDO_BACKUP_EXISTS: "A backup was to overwrite a file.",
  QUDO_UNSUPPORTED: "Something that this kind of database cannot do.",
  QUDO_SCHEMA_MISSING: "The database holds no qudo tables yet.",
  QUDO_SCHEMA_TOO_NEW: "The database was migrated by a newer qudo.",
  QUDO_SESSION_LOST: "A worker's session was ended by another process.",
  QUDO_JOB_TIMEOUT: "A handler ran longer than its time-out.",
  QUDO_RUN_LOST: "A run that is not this worker's any more was to be completed.",
  QUDO_NOT_COMPLETED:
    "A handler that has to say how its run ends (explicitCompletion) ended without a word.",
  QUDO_COMPLETE_ROLLED_BACK: "A handler completed its job in a transaction that was rolled back.",
  QUDO_REPLACE_IN_TRANSACTION: "A handler wanted to end its run by job.replace and by completeIn.",
  QUDO_RESULT_TIMEOUT: "A job whose result was waited for did not end in time.",
  QUDO_JOB_FAILED: "A job whose result was waited for was abandoned or cancelled.",
  QUDO_JOB_ABSENT: "There is no such job, or it has been pruned.",
  QUDO_JOB_ABORTED: "A handler gave its job up for good.",
  QUDO_JOB_STOPPED: "A handler's signal was aborted: its worker stops or lost the job.",
  QUDO_HANDLER_DIED: "The thread or process that a handler had to itself ended under it.",
  QUDO_ISOLATE_FAILED: "A thread or process for handlers could not be made ready.",
  QUDO_CHILD_FAILED: "A child process of prefork ended before any was ready.",
  QUDO_HEALTH_PORT: "The health endpoint cannot listen at its address.",
  QUDO_JOBS_FILE: "The file given with --jobs exports no job definitions, or cannot be loaded.",
  QUDO_TEST_EXPECTED: "In a test: a job that was expected to be enqueued was not.",
  QUDO_TEST_STUCK: "In a test: what was waited for does not come, however far time is moved.",
  QUDO_TEST_INTERLEAVING: "In a test: an order of events in which something is wrong.",
} as const;

/** One of the stable codes of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** The class behind every error thrown here. `code` is stable; the message is for people and may change. */
export class QudoError extends Error {
  override readonly name: string = "QudoError";
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export function closedError(): QudoError {
  return new QudoError("QUDO_CLOSED", "This Qudo was closed. Make a new one to go on.");
}

/** What the caller gave cannot be used; nothing was written. */
export class InvalidInputError extends QudoError {
  override readonly name = "InvalidInputError";
}

/** What a {@link DatabaseError} may be made with. */
export interface DatabaseErrorOptions extends ErrorOptions {
  /** "perhaps": the connection was lost, or the time was up, while COMMIT was on its way. Default "no". */
  happened?: "no" | "perhaps";
}

/** The database could not do it. `transient`: the same call may succeed later, and is safe to repeat. */
export class DatabaseError extends QudoError {
  override readonly name = "DatabaseError";
  /** Whether what was asked for may have been done all the same: "perhaps" where the answer to a COMMIT was lost. */
  readonly happened: "no" | "perhaps";
  constructor(
    code: ErrorCode,
    message: string,
    readonly transient: boolean,
    options?: DatabaseErrorOptions,
  ) {
    super(code, message, options);
    this.happened = options?.happened ?? "no";
  }
}

/** Jobs that are in this database, or are not: its answer was lost, and could not be had again in time. They are in no other one. */
export class EnqueueOutcomeUnknownError extends QudoError {
  override readonly name = "EnqueueOutcomeUnknownError";
  constructor(
    /** Name of the only database that may hold them. */
    readonly database: string,
    /** Of the jobs. */
    readonly ids: readonly string[],
    options?: ErrorOptions,
  ) {
    const [first] = ids;
    const which = ids.length === 1 ? `the job ${first}` : `${ids.length} jobs (${first}, …)`;
    super(
      "QUDO_ENQUEUE_UNKNOWN",
      `Whether ${which} reached the database ${database} is not known: its answer was lost, and it has not answered since. When it is back, look there (qudo.jobs.get), and enqueue again what it has not.`,
      options,
    );
  }
}

/** Of the jobs of one `enqueueMany` some were written, and others were not or may not have been: over several databases, or where a hook refused some. */
export class EnqueuePartlyError<Written = unknown> extends QudoError {
  override readonly name = "EnqueuePartlyError";
  constructor(
    /** One per job, in order: what `enqueue` would have resolved to, or have been rejected with. */
    readonly results: readonly (Written | Error)[],
  ) {
    const errors = results.filter((result) => result instanceof Error);
    const [first] = errors;
    super(
      "QUDO_ENQUEUE_PARTLY",
      `Of ${results.length} jobs ${results.length - errors.length} were written. "results" says of each what became of it. The first error: ${first?.message}`,
      { cause: first },
    );
  }
}

/** One of several databases that could not be asked. */
export interface Unasked {
  /** Its name. */
  readonly database: string;
  /** Why; never a password. */
  readonly reason: string;
}

/** An answer that lacks what some of several databases would have said. */
export class IncompleteError<Found = unknown> extends QudoError {
  override readonly name = "IncompleteError";
  constructor(
    /** Those that could not be asked, each with the reason. */
    readonly unasked: readonly Unasked[],
    /** The answer of all the others. */
    readonly found: Found,
  ) {
    const why = unasked.map(({ database, reason }) => `${database} (${reason})`).join("; ");
    super(
      "QUDO_INCOMPLETE",
      `Not every database could be asked: ${why}. What the others say is in "found"; ask again later, or ask for one database.`,
    );
  }
}

/** The session of a worker is gone from the database: whatever it held belongs to others now. */
export class SessionLostError extends QudoError {
  override readonly name = "SessionLostError";
  constructor(session: string) {
    super(
      "QUDO_SESSION_LOST",
      `The session ${session} was ended by another process (it had missed its heartbeats). The worker starts a new one by itself; jobs it held run elsewhere.`,
    );
  }
}

/** A run that others have decided was to be completed in a user's transaction, which must be rolled back. */
export class RunLostError extends QudoError {
  override readonly name = "RunLostError";
  constructor(job: string, run: number) {
    super(
      "QUDO_RUN_LOST",
      `Run ${run} of the job ${job} is not this worker's any more (it was cancelled, or missed its heartbeats). Roll the transaction back.`,
    );
  }
}

/** A job whose result was waited for has ended without one. */
export class JobFailedError extends QudoError {
  override readonly name = "JobFailedError";
  constructor(
    readonly job: string,
    readonly state: RunState,
    /** Why it was abandoned; null when it was cancelled. */
    readonly reason: Reason | null,
    /** Error of its last run, with its stack; null for none. */
    readonly lastError: string | null,
  ) {
    const why = reason === null ? "" : ` (${reason})`;
    const error = lastError === null ? "." : `: ${lastError.split("\n", 1)[0]}`;
    super("QUDO_JOB_FAILED", `The job ${job} was ${state}${why}${error}`);
  }
}

/** A program that `prefork` started ended by itself before any of its children was ready. */
export class ChildFailedError extends QudoError {
  override readonly name = "ChildFailedError";
  constructor(
    readonly pid: number,
    /** Its exit code; null where a signal ended it. */
    readonly exitCode: number | null,
    how: string,
  ) {
    super(
      "QUDO_CHILD_FAILED",
      `Child ${pid} ended (${how}) before any child was ready. What it printed says why; a child's program must call qudo.work(), and stay.`,
    );
  }
}

/** What a handler's run ended with when it was not the handler's own error. */
export class JobError extends QudoError {
  override readonly name = "JobError";
}

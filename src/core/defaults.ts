/**
 * Every default and limit of the product in one place, with its unit in its name or beside it.
 * Sources of the figures: docs/internals.md, "Figures and where they come from".
 */
export const DEFAULTS = {
  /** Queue of a job kind that names none. */
  queue: "default",
  /** Runs that may end in failure before a job is abandoned: the first one and five retries. −1 is "for ever". */
  maxAttempts: 6,
  /** Crashes (worker died under the job) before a job is abandoned; kept apart from attempts. */
  maxCrashes: 3,
  /** A session whose heartbeat is older than this may be reaped. */
  leaseMs: 30_000,
  /** Time between two heartbeats of a session. */
  heartbeatMs: 5_000,
  /** After so long without a sign of life from the main loop a session is no longer kept alive from its thread. */
  watchdogMs: 60_000,
  /** A reaper must have seen a heartbeat unchanged for this long on its own monotonic clock. */
  unchangedBeatMs: 10_000,
  /** Upper bound between two looks for due jobs and dead sessions. */
  maintenanceMs: 1_000,
  /** Jobs that run at the same time in one worker. */
  concurrency: 10,
  /** A worker holds about this much work, so that slow handlers hoard nothing. */
  holdMs: 50,
  /** The largest number of jobs one claim asks for. */
  claimLimit: 500,
  /** Under load completions wait at most this long for company; a worker with nothing else to do waits for nothing. */
  settleLingerMs: 10,
  /** Poll of an idle worker when no wake-up came … */
  pollMs: 1_000,
  /** … and where none can come: the gap after work was seen, the longest one, and between them its share of the time without work. */
  lookFirstMs: 10,
  lookLastMs: 400,
  lookShare: 1 / 50,
  /** A job that runs longer than this is shown as running. */
  markStartedAfterMs: 1_000,
  /** How long stop() lets handlers finish before it aborts their signals. */
  stopGraceMs: 30_000,
  /** After a time-out or a stop aborted a handler's signal, how long it may still take to return. */
  abortGraceMs: 5_000,
  /** The same where a handler has a thread or process to itself, which is then ended: before its job is anybody else's. */
  killGraceMs: 4_000,
  /** How long a thread or process for handlers may take to load its module … */
  isolateStartMs: 30_000,
  /** … and is kept for the next job. */
  isolateIdleMs: 30_000,
  /** How long jobs are kept after their end … */
  keepDoneMs: 86_400_000,
  keepOtherMs: 30 * 86_400_000,
  /** … and counts per minute. */
  keepCountsMs: 7 * 86_400_000,
  /** Time between two rounds of pruning, which are made of small steps. */
  pruneEveryMs: 60_000,
  /** At most so often the progress of a job is written, and a long run asked for whether it is still ours. */
  reportMs: 1_000,
  /** How long a write waits for other processes that hold the SQLite file before QUDO_DATABASE_BUSY. */
  busyDeadlineMs: 30_000,
  /** The same for enqueueSync, which blocks its thread meanwhile. */
  busySyncMs: 5_000,
  /** Connections to a server at once. */
  connections: 10,
  /** How long a connection to a server may take to open … */
  connectTimeoutMs: 1_000,
  /** … and one statement there to be answered. */
  statementTimeoutMs: 2_000,
  /** How long one of several databases that is out is left in peace. */
  retrySeconds: 30,
  /** Prefork: the wait before the place of a child that crashed is filled again; doubled with each crash that follows … */
  respawnFirstMs: 200,
  /** … up to this, and back at the first one when a child has lived for as long. */
  respawnLastMs: 30_000,
  /** How long a new child may take to be ready before a rolling restart is given up. */
  childStartMs: 30_000,
  /** How long a child may take to end after SIGTERM before it is killed: the worker's grace and what follows it. */
  childStopMs: 45_000,
  /** A child that was ready and has given no sign of life for so long is killed. Twice the watchdog. */
  childSilentMs: 120_000,
  /** Time between two signs of life of a child, with its figures. */
  childSignMs: 1_000,
} as const;

export const LIMITS = {
  nameLength: 128,
  payloadBytes: 1_048_576,
  resultBytes: 1_048_576,
  errorBytes: 8_192,
  progressBytes: 4_096,
  logLines: 1_000,
  logLineBytes: 8_192,
  /** Runs of a living job that are never pruned. */
  runsKept: 20,
  depth: 64,
  priority: 32_767,
  delayMs: 10 * 365 * 86_400_000,
  /** As far as jobs are counted that come before another one: beyond it they are "10,000 and more". */
  countedAhead: 10_001,
  rowsPerStatement: 1_000,
  bytesPerStatement: 4 * 1_048_576,
  /** Payloads up to this size come with the claim; larger ones are fetched when the job starts. */
  inlinePayloadBytes: 65_536,
  /** Node fires timers past this at once (2³¹ − 1 ms). */
  timerMs: 2_147_483_647,
} as const;

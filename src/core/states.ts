/**
 * The states of a run (what an outcome row says) and of a job (derived, never stored).
 * Numbers are what the database keeps: append only, never renumber.
 */
export const RUN_STATES = {
  done: 1,
  failed: 2,
  abandoned: 3,
  cancelled: 4,
  crashed: 5,
  released: 6,
  snoozed: 7,
  requeued: 8,
  moved: 9,
} as const;

/** What became of one run of a job. */
export type RunState = keyof typeof RUN_STATES;

/** What a tally counts beside the ends of runs: a number that no run state has, nor will have. */
export const ENQUEUED = 0;

/** Why a job was abandoned. */
export const REASONS = {
  attempts: 1,
  crashes: 2,
  aborted: 3,
  purged: 4,
  worker_cancelled: 5,
  expired: 6,
} as const;

/** Why a job was abandoned: one word of {@link REASONS}. */
export type Reason = keyof typeof REASONS;

/** How weighty a line of a job's log is. */
export const LOG_LEVELS = { debug: 1, info: 2, warn: 3, error: 4 } as const;

/** One of the four levels of {@link LOG_LEVELS}. */
export type LogLevel = keyof typeof LOG_LEVELS;

/** What a user sees of a job. */
export const JOB_STATES = [
  "pending",
  "failed",
  "reserved",
  "running",
  "done",
  "abandoned",
  "cancelled",
  "moved",
] as const;

/** One of the states of {@link JOB_STATES}. */
export type JobState = (typeof JOB_STATES)[number];

const stateNames = new Map<number, RunState>(
  Object.entries(RUN_STATES).map(([name, code]) => [code, name as RunState]),
);
const levelNames = new Map<number, LogLevel>(
  Object.entries(LOG_LEVELS).map(([name, code]) => [code, name as LogLevel]),
);
const reasonNames = new Map<number, Reason>(
  Object.entries(REASONS).map(([name, code]) => [code, name as Reason]),
);

export function runStateOf(code: number): RunState {
  const name = stateNames.get(code);
  if (name === undefined) throw new RangeError(`unknown run state ${code}`);
  return name;
}

export function logLevelOf(code: number): LogLevel {
  const name = levelNames.get(code);
  if (name === undefined) throw new RangeError(`unknown log level ${code}`);
  return name;
}

export function reasonOf(code: number | null): Reason | null {
  return code === null ? null : (reasonNames.get(code) ?? null);
}

const TERMINAL: ReadonlySet<RunState> = new Set(["done", "abandoned", "cancelled", "moved"]);
const RETRYABLE: ReadonlySet<RunState> = new Set(["abandoned", "cancelled"]);

/** The numbers of those after which a job stands nowhere but in the log. */
export const TERMINAL_CODES: readonly number[] = [...TERMINAL].map((state) => RUN_STATES[state]);

/** After such an outcome the job stands nowhere but in the log. */
export function isTerminal(state: RunState): boolean {
  return TERMINAL.has(state);
}

/** An operator may ask for another run after these. */
export function isRetryable(state: RunState): boolean {
  return RETRYABLE.has(state);
}

/** Where a job is found: the three facts from which its state follows. */
export interface Whereabouts {
  lastOutcome: RunState | null;
  waiting: boolean;
  running: boolean;
}

/** PROTOCOL "state": terminal outcome, else waiting, else leased. */
export function jobState({ lastOutcome, waiting, running }: Whereabouts): JobState {
  if (lastOutcome !== null && isTerminal(lastOutcome)) return lastOutcome as JobState;
  if (waiting) return lastOutcome === "failed" || lastOutcome === "crashed" ? "failed" : "pending";
  return running ? "running" : "reserved";
}

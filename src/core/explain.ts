/**
 * Why a job is not running, or what it is doing: pure, from facts that somebody else gathered. Each reason has a stable code, a
 * sentence that says what is the case, and one that says what to do about it. docs/monitor.md lists the same codes; a test keeps
 * the two the same set.
 */
import { DEFAULTS, LIMITS } from "./defaults.js";
import { humanDuration } from "./duration.js";
import { isSuspect } from "./outcome.js";
import { isTerminal, type JobState, type Reason, type RunState } from "./states.js";

/** The codes, each with its meaning in one line. */
export const WHY_CODES = {
  running: "A worker runs it.",
  reserved: "A worker holds it, and starts it when a place is free, or has just started it.",
  worker_silent: "The worker that holds it has not been heard of lately.",
  done: "It is done.",
  abandoned: "It was given up.",
  cancelled: "It was cancelled.",
  moved: "It was moved to another database.",
  database_out: "A database cannot be asked, or takes no part.",
  database_off: "Nothing of its database is claimed.",
  queue_paused: "Its queue is paused.",
  kind_paused: "Its kind is paused in its queue.",
  expired: "It was not started in time, and will not be.",
  limited: "A limit holds it back.",
  delayed: "It was enqueued for later.",
  backoff: "It failed, and waits for its next try.",
  snoozed: "Its handler asked for another run later.",
  not_promoted: "It is due, and nobody has moved it to the ready ones.",
  no_workers: "No worker lives.",
  no_worker_for_kind: "Workers live, but none of them knows its kind.",
  alone: "It may be what killed its workers, and starts only where nothing else runs.",
  behind: "Other jobs of its queue come first.",
  next: "Nothing is in its way: the next free place is its.",
  nowhere: "It stands in no place, which no job may do.",
} as const;

/** One of the stable codes of {@link WHY_CODES}. */
export type WhyCode = keyof typeof WHY_CODES;

/** One reason. Code and order are stable; the sentences are for people and may change. */
export interface Why {
  readonly code: WhyCode;
  /** What is the case. */
  readonly says: string;
  /** What to do about it, if anything. */
  readonly advice: string;
}

/** A worker as its session shows it. */
export interface WorkerFacts {
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  readonly kinds: readonly string[];
  readonly seenAt: number;
  readonly leaseMs: number;
}

/** All that is known of a job and its surroundings at one moment. Times are milliseconds UTC of its database. */
export interface Facts {
  readonly now: number;
  readonly job: {
    readonly id: string;
    readonly queue: string;
    readonly kind: string;
    readonly state: JobState;
    readonly runAt: number;
    readonly expiresAt: number | null;
    readonly fails: number;
    readonly crashes: number;
    readonly maxAttempts: number;
    readonly timeoutMs: number | null;
    readonly startedAt: number | null;
    readonly last: LastRun | null;
  };
  readonly place: "ready" | "keyed" | "delayed" | "held" | "ended" | "nowhere";
  readonly queuePausedAt: number | null;
  readonly kindPausedAt: number | null;
  readonly ahead: number;
  readonly claimedAt: number | null;
  /** The worker that holds it; null where none does, or its session is gone. */
  readonly holder: WorkerFacts | null;
  readonly workers: readonly WorkerFacts[];
  /** The database's name among several, where nothing of it is claimed; null where all is well. */
  readonly off: string | null;
  /** What its limits say: made by whoever knows them. */
  readonly limits: readonly Why[];
}

/** What became of the run before. */
export interface LastRun {
  readonly state: RunState;
  readonly reason: Reason | null;
  readonly endedAt: number;
  readonly error: string | null;
}

/** The reasons, the gravest first; never none. */
export function explain(facts: Facts): Why[] {
  switch (facts.place) {
    case "ended":
      return [ended(facts)];
    case "held":
      return held(facts);
    case "nowhere":
      return [
        why(
          "nowhere",
          "It lives, and stands in no place.",
          "Keep a copy of the database, and run qudo doctor: this is a bug, a damaged file, or somebody's own SQL.",
        ),
      ];
    case "ready":
    case "keyed":
    case "delayed":
      return waiting(facts);
  }
}

/** Databases that could not be asked, while no other one has the job. */
export function explainUnasked(unasked: readonly { database: string; reason: string }[]): Why[] {
  return unasked.map(({ database, reason }) =>
    why(
      "database_out",
      `No database that answers has it, and ${database} cannot be asked: ${reason}`,
      "Wait until that database is back; it is tried again by itself. qudo status tells when.",
    ),
  );
}

function why(code: WhyCode, says: string, advice: string): Why {
  return { code, says, advice };
}

const NOTHING = "Nothing has to be done.";

// — what has ended

const ABANDONED: Readonly<Record<Reason, string>> = {
  attempts: "all its tries failed",
  crashes: "its workers died under it",
  aborted: "its handler gave it up",
  purged: "its queue was purged",
  worker_cancelled: "its worker was cancelled",
  expired: "it was not started before it expired",
};

function ended({ now, job }: Facts): Why {
  const { last, id } = job;
  const state = last !== null && isTerminal(last.state) ? last.state : job.state;
  const ago = last === null ? "" : ` ${since(last.endedAt, now)} ago`;
  const again = `For another life: qudo retry ${id}.`;
  if (state === "done") return why("done", `It was done${ago}.`, NOTHING);
  if (state === "cancelled") return why("cancelled", `It was cancelled${ago}.`, again);
  if (state === "moved")
    return why("moved", `It was moved to another database${ago}.`, "Look for it there.");
  const because = last?.reason == null ? "" : `: ${ABANDONED[last.reason]}`;
  const error = last?.error == null ? "" : ` The last error: ${firstLine(last.error)}`;
  return why("abandoned", `It was given up${ago}${because}.${error}`, again);
}

// — what is held

function held(facts: Facts): Why[] {
  const { job, holder, now } = facts;
  const silent = silence(facts);
  const by = holder === null ? "a worker whose session is gone" : workerName(holder);
  if (job.startedAt === null) {
    const held = facts.claimedAt === null ? "" : ` for ${since(facts.claimedAt, now)}`;
    const says = `It is held by ${by}${held}, and starts when a place is free there; a run is shown as running after a second.`;
    return [...silent, why("reserved", says, NOTHING)];
  }
  const limit = job.timeoutMs === null ? "" : `, of at most ${humanDuration(job.timeoutMs)}`;
  const advice = `To end it: qudo cancel ${job.id}.`;
  return [
    ...silent,
    why("running", `${by} has run it for ${since(job.startedAt, now)}${limit}.`, advice),
  ];
}

/** Two heartbeats are missed before anything is said: one may be under way. */
function silence({ holder, now }: Facts): Why[] {
  const advice =
    "Others end its session when its lease is over, and the job runs again. Look after that process, or its host.";
  if (holder === null)
    return [why("worker_silent", "The session of the worker that holds it is gone.", advice)];
  const silentMs = now - holder.seenAt;
  if (silentMs < Math.min(2 * DEFAULTS.heartbeatMs + 1_000, holder.leaseMs)) return [];
  const says = `${workerName(holder)}, which holds it, was last heard of ${humanDuration(silentMs)} ago; its lease is ${humanDuration(holder.leaseMs)}.`;
  return [why("worker_silent", says, advice)];
}

// — what waits

function waiting(facts: Facts): Why[] {
  const stops = [
    ...pauses(facts),
    ...expiry(facts),
    ...facts.limits,
    ...later(facts),
    ...workers(facts),
  ];
  // Whose turn it is matters only to a job that nothing else stops.
  if (stops.length > 0) return stops;
  return [...suspicion(facts), ...line(facts)];
}

function* pauses({ off, now, job, queuePausedAt, kindPausedAt }: Facts): Generator<Why> {
  const { queue, kind } = job;
  if (off !== null)
    yield why(
      "database_off",
      `Its database ${off} is off: nothing of it is claimed.`,
      `qudo database active ${off}, or drain to have it worked off.`,
    );
  if (queuePausedAt !== null)
    yield why(
      "queue_paused",
      `The queue ${queue} was paused ${since(queuePausedAt, now)} ago.`,
      `qudo resume ${queue}`,
    );
  if (kindPausedAt !== null)
    yield why(
      "kind_paused",
      `The kind ${kind} was paused in the queue ${queue} ${since(kindPausedAt, now)} ago.`,
      `qudo resume ${queue} --kind ${kind}`,
    );
}

function* expiry({ now, job: { expiresAt } }: Facts): Generator<Why> {
  if (expiresAt !== null && expiresAt <= now)
    yield why(
      "expired",
      `It expired ${since(expiresAt, now)} ago: whoever claims it gives it up without starting it.`,
      "Enqueue it again, with a later expiry or none.",
    );
}

/** How long a due job may stand among the delayed ones before that is strange: maintenance looks each second. */
const PROMOTED_WITHIN_MS = 2 * DEFAULTS.maintenanceMs + 1_000;

function* later({ now, place, job }: Facts): Generator<Why> {
  if (place !== "delayed") return;
  const { runAt, last, fails, maxAttempts } = job;
  if (runAt <= now) {
    if (now - runAt < PROMOTED_WITHIN_MS) return;
    const says = `It has been due for ${since(runAt, now)}, and still stands among those that are not.`;
    yield why("not_promoted", says, "Workers move what is due: see whether one is alive.");
    return;
  }
  const when = `${new Date(runAt).toISOString()}, in ${humanDuration(runAt - now)}`;
  if (last?.state === "failed") {
    const of = maxAttempts === -1 ? "" : ` of ${maxAttempts}`;
    const error = last.error === null ? "" : ` The last error: ${firstLine(last.error)}`;
    yield why(
      "backoff",
      `Try ${fails}${of} failed; the next one is due at ${when}.${error}`,
      `Wait, or give it another time: qudo.jobs.reschedule("${job.id}", { delay: 0 }).`,
    );
  } else if (last?.state === "snoozed")
    yield why("snoozed", `Its handler asked for another run at ${when}.`, NOTHING);
  else
    yield why(
      "delayed",
      `It is due at ${when}.`,
      `Wait, or give it another time: qudo.jobs.reschedule("${job.id}", { delay: 0 }).`,
    );
}

function* workers({ now, workers, job: { kind } }: Facts): Generator<Why> {
  const living = workers.filter(({ seenAt, leaseMs }) => now - seenAt <= leaseMs);
  if (living.length === 0)
    yield why(
      "no_workers",
      workers.length === 0
        ? "No worker is known to the database."
        : `The last worker was heard of ${since(Math.max(...workers.map(({ seenAt }) => seenAt)), now)} ago.`,
      "Start one: qudo work --jobs FILE, or qudo.work() in a program.",
    );
  else if (!living.some(({ kinds }) => kinds.includes(kind))) {
    const known = [...new Set(living.flatMap(({ kinds }) => kinds))].toSorted();
    const some = known.slice(0, 10).join(", ") + (known.length > 10 ? ", …" : "");
    yield why(
      "no_worker_for_kind",
      `${count(living.length, "worker")} ${living.length === 1 ? "lives" : "live"}, but none knows the kind ${kind}. Known: ${some || "none"}.`,
      "Give its definition to a worker, or compare how the two are spelt.",
    );
  }
}

// — whose turn it is

function* suspicion({ job }: Facts): Generator<Why> {
  if (isSuspect(job))
    yield why(
      "alone",
      `Its worker died under it ${count(job.crashes, "time")}: it starts only where nothing else runs, so that it takes nobody along.`,
      "Look into its handler. Once more, and it is given up.",
    );
}

/** A job that nothing stops is taken sooner than that, unless all places are taken. */
const TAKEN_WITHIN_MS = 5_000;

function* line({ now, place, ahead, job: { runAt, queue, kind } }: Facts): Generator<Why> {
  const line = place === "keyed" ? "its key" : `the queue ${queue}`;
  if (ahead > 0) {
    const most = LIMITS.countedAhead;
    const jobs =
      ahead < most ? count(ahead, "job") : `${(most - 1).toLocaleString("en-US")} jobs and more`;
    yield why(
      "behind",
      `${jobs} of ${line} ${ahead === 1 ? "comes" : "come"} first: they are more urgent, or have waited for longer.`,
      "More workers or a higher concurrency get to it sooner, or a higher priority.",
    );
    return;
  }
  const waits = now - runAt;
  if (waits < TAKEN_WITHIN_MS)
    yield why(
      "next",
      place === "keyed"
        ? "Nothing is in its way: it is next of its key, and keys take turns."
        : "Nothing is in its way: it is next in its queue.",
      NOTHING,
    );
  else
    yield why(
      "next",
      `It is next ${place === "keyed" ? "of its key" : "in its queue"}, and has been for ${humanDuration(waits)} at most.`,
      `See whether the workers that know ${kind} serve the queue ${queue}, and whether all their places are taken.`,
    );
}

// — words

function since(at: number, now: number): string {
  return humanDuration(Math.max(0, now - at));
}

function count(n: number, noun: string): string {
  return `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
}

function workerName({ name, host, pid }: WorkerFacts): string {
  return `the worker ${name} (pid ${pid} on ${host})`;
}

function firstLine(text: string): string {
  return text.trimStart().split(/[\r\n]/, 1)[0]!;
}

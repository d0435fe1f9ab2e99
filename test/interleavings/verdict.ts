/**
 * What must hold after any two calls, in whatever order their statements came: the invariants, and that every answer given
 * is true. An answer that says "decided" stands for exactly one new row of the log.
 */
import { ENQUEUED, RUN_STATES, runStateOf, type RunState } from "../../src/core/states.js";
import type {
  CancelOutcome,
  ChildOutcome,
  DismissOutcome,
  Driver,
  HeartbeatOutcome,
  InsertOutcome,
  PurgeOutcome,
  ReapOutcome,
  RescheduleOutcome,
  RetryOutcome,
  RevivalOutcome,
  Trip,
  TripOutcome,
} from "../../src/storage/driver.js";
import { idText } from "../../src/core/ids.js";
import type { Answer } from "./conductor.js";
import type { Call } from "./operations.js";

export interface Snapshot {
  /** "job/run" → "state/writer". */
  readonly outcomes: ReadonlyMap<string, string>;
  readonly jobs: ReadonlySet<string>;
  readonly violations: readonly string[];
  /** "job/run" → progress, of what is shown as running. */
  readonly running: ReadonlyMap<string, string | null>;
  /** "job/run/number" of log lines. */
  readonly lines: ReadonlySet<string>;
  /** Queues, and kinds by themselves, that are paused. */
  readonly paused: ReadonlySet<string>;
  /** What the tally has counted, by the number of the event. */
  readonly tally: ReadonlyMap<number, number>;
}

/** Rows of a statement, as the database's client gives them: ids may come as bytes or as text. */
export type Rows = (sql: string) => unknown[] | Promise<unknown[]>;

type Id = Uint8Array | string;

interface RunColumns {
  job_id: Id;
  run: number;
}

const text = (id: Id): string => (typeof id === "string" ? id : idText(id));
const runOf = ({ job_id, run }: RunColumns): string => `${text(job_id)}/${run}`;

/** The ids of rows with a column `id`, as text. */
export const idsOf = (rows: readonly unknown[]): string[] =>
  rows.map((row) => text((row as { id: Id }).id));

export async function snapshot(driver: Driver, rows: Rows): Promise<Snapshot> {
  const all = async <T>(sql: string): Promise<T[]> => (await rows(sql)) as T[];
  const violations = await driver.audit();
  const log = await all<RunColumns & { state: number; writer: Id }>(
    "select job_id, run, state, writer from qudo_outcome",
  );
  const jobs = await all<{ id: Id }>("select id from qudo_job");
  const running = await all<RunColumns & { progress: string | null }>(
    "select job_id, run, progress from qudo_running",
  );
  const lines = await all<RunColumns & { seq: number }>(
    "select job_id, run, seq from qudo_job_log",
  );
  const queues = await all<{ name: string }>(
    "select name from qudo_queue where paused_at is not null",
  );
  const kinds = await all<{ queue: string; kind: string }>(
    "select queue, kind from qudo_lane where paused_at is not null",
  );
  const tally = await all<{ event: number; n: unknown }>(
    "select event, sum(n) as n from qudo_tally group by event",
  );
  return {
    outcomes: new Map(
      log.map((row) => [runOf(row), `${runStateOf(row.state)}/${text(row.writer)}`]),
    ),
    jobs: new Set(jobs.map((row) => text(row.id))),
    violations: violations.map((v) => `${v.invariant} ${v.job}/${v.run}: ${v.detail}`),
    running: new Map(running.map((row) => [runOf(row), row.progress])),
    lines: new Set(lines.map((row) => `${runOf(row)}/${row.seq}`)),
    paused: new Set([
      ...queues.map((row) => row.name),
      ...kinds.map(({ queue, kind }) => `${queue}/${kind}`),
    ]),
    tally: new Map(tally.map((row) => [row.event, Number(row.n)])),
  };
}

/** What both answers together claim to have happened. */
class Claims {
  readonly wrong: string[] = [];
  readonly decided = new Map<RunState, number>();
  /** Decided jobs by name where the answer names them: they must still be there. */
  readonly kept = new Set<string>();
  /** "job/run/number" of lines that were taken. */
  readonly lines = new Set<string>();
  /** "job/run" → progress, of runs that were said to go on. */
  readonly going = new Map<string, string>();
  /** Target → how often it was said to have changed. */
  readonly changed = new Map<string, number>();
  pruned = 0;
  reaped = false;
  dismissed = false;
  beating = false;
  private readonly ends = new Map<string, string>();
  private readonly holders = new Map<string, string>();
  private readonly inserted = new Set<string>();
  private readonly requeued = new Set<string>();

  add(call: Call, answer: Answer): void {
    if (!answer.ok) {
      if (answer.code !== "QUDO_SESSION_LOST")
        this.wrong.push(`${call.method} threw ${answer.code}: ${answer.message}`);
      return;
    }
    const { value } = answer;
    switch (call.method) {
      case "trip":
        return this.addTrip(call, value as TripOutcome);
      case "insertJobs":
        return this.addInserts(call, value as InsertOutcome[]);
      case "cancel":
        return (value as CancelOutcome[]).forEach((outcome, i) => {
          if (outcome === "cancelled") this.count("cancelled", call.args[0][i]!);
        });
      case "purge":
        return (value as PurgeOutcome[]).forEach((outcome, i) => {
          if (outcome === "cancelled" || outcome === "abandoned")
            this.count(outcome, call.args[0][i]!);
        });
      case "reschedule":
        return (value as RescheduleOutcome[]).forEach(({ status }, i) => {
          if (status === "rescheduled") this.count("requeued", call.args[0][i]!.id);
        });
      case "enqueueFromFailed":
        return this.addRevivals(call, value as RevivalOutcome[]);
      case "dismiss":
        return this.addDismissals(value as DismissOutcome[]);
      case "retry":
        return this.addRetries(call, value as RetryOutcome[]);
      case "release":
        return this.many("released", value as number);
      case "reap":
        return this.addReap(value as ReapOutcome[]);
      case "report":
        return this.addReports(call, value as boolean[]);
      case "setPaused":
        return this.addPause(call, value as boolean);
      case "heartbeat":
        this.beating ||= (value as HeartbeatOutcome).alive;
        return;
      case "prune":
        this.pruned += (value as { pruned: number }).pruned;
    }
  }

  private addTrip(call: Extract<Call, { method: "trip" }>, trip: TripOutcome): void {
    const [{ settle, claim }] = call.args;
    settle.forEach((group, g) =>
      group.settlements.forEach(({ job, run, state, lines = [] }, s) => {
        for (const { seq } of lines) this.lines.add(`${job}/${run}/${seq}`);
        if (trip.settled[g]![s] === "accepted") this.end(job, run, `${state}/${group.session}`);
      }),
    );
    for (const { children } of trip.replaced ?? []) this.addChildren(settle, children);
    for (const { job, run } of trip.claimed) {
      const holder = this.holders.get(`${job}/${run}`) ?? claim!.lease;
      if (holder !== claim!.lease) this.wrong.push(`${job}/${run} was claimed twice`);
      this.holders.set(`${job}/${run}`, claim!.lease);
    }
  }

  /** Only one settlement of ours has any. */
  private addChildren(settle: Trip["settle"], outcomes: readonly ChildOutcome[]): void {
    const jobs = settle.flatMap(({ settlements }) => settlements.flatMap((s) => s.children ?? []));
    outcomes.forEach((outcome, i) => this.addInsert(jobs[i]!.id, outcome.status));
  }

  /** A settlement sent again is accepted again and counts once; another end of the same run never is. */
  private end(job: string, run: number, end: string): void {
    const before = this.ends.get(`${job}/${run}`);
    if (before === end) return;
    if (before !== undefined) this.wrong.push(`${job}/${run} ended twice: ${before}, ${end}`);
    this.ends.set(`${job}/${run}`, end);
    this.count(end.split("/")[0] as RunState, job);
  }

  private addInserts(
    call: Extract<Call, { method: "insertJobs" }>,
    outcomes: readonly InsertOutcome[],
  ): void {
    outcomes.forEach(({ status }, i) => this.addInsert(call.args[0][i]!.id, status));
  }

  private addInsert(id: string, status: InsertOutcome["status"]): void {
    if (status === "unique") return;
    this.kept.add(id);
    if (status === "inserted" && this.inserted.has(id)) this.wrong.push(`${id} inserted twice`);
    if (status === "inserted") this.inserted.add(id);
  }

  /** Line 0 of the failed run names the job. */
  private addRevivals(
    call: Extract<Call, { method: "enqueueFromFailed" }>,
    outcomes: readonly RevivalOutcome[],
  ): void {
    outcomes.forEach(({ status }, i) => {
      const { job, run, id } = call.args[0][i]!;
      if (status !== "inserted") return;
      const line = `${job}/${run}/0`;
      if (this.lines.has(line)) this.wrong.push(`two jobs were made of ${job}/${run}`);
      this.lines.add(line);
      this.addInsert(id, status);
    });
  }

  private addDismissals(outcomes: readonly DismissOutcome[]): void {
    for (const outcome of outcomes) {
      if (outcome.status !== "dismissed") continue;
      if (this.reaped || this.dismissed) this.wrong.push("the session was ended twice");
      this.dismissed = true;
      this.many("released", outcome.runs);
    }
  }

  private addRetries(
    call: Extract<Call, { method: "retry" }>,
    outcomes: readonly RetryOutcome[],
  ): void {
    outcomes.forEach(({ status }, i) => {
      const id = call.args[0][i]!;
      if (status !== "requeued") return;
      if (this.requeued.has(id)) this.wrong.push(`${id} requeued twice`);
      this.requeued.add(id);
      this.count("requeued", id);
    });
  }

  private addReports(call: Extract<Call, { method: "report" }>, ours: readonly boolean[]): void {
    for (const [i, { job, run, lines, progress }] of call.args[0].entries()) {
      for (const { seq } of lines) this.lines.add(`${job}/${run}/${seq}`);
      if (ours[i] && progress !== null) this.going.set(`${job}/${run}`, progress);
    }
  }

  private addPause(call: Extract<Call, { method: "setPaused" }>, changed: boolean): void {
    const [{ queue, kind }] = call.args;
    const target = kind === null ? queue : `${queue}/${kind}`;
    if (changed) this.changed.set(target, (this.changed.get(target) ?? 0) + 1);
  }

  private addReap(outcomes: readonly ReapOutcome[]): void {
    for (const outcome of outcomes) {
      if (outcome.status !== "reaped") continue;
      if (this.reaped || this.dismissed) this.wrong.push("the session was ended twice");
      this.reaped = true;
      for (const [state, n] of Object.entries(outcome.decided)) this.many(state as RunState, n);
    }
  }

  private count(state: RunState, job: string): void {
    this.kept.add(job);
    this.many(state, 1);
  }

  private many(state: RunState, n: number): void {
    this.decided.set(state, (this.decided.get(state) ?? 0) + n);
  }
}

/** Everything that is wrong after these two calls; empty when all is well. */
export function judge(
  before: Snapshot,
  after: Snapshot,
  calls: readonly [Call, Call],
  answers: readonly [Answer, Answer],
): string[] {
  const claims = new Claims();
  calls.forEach((call, i) => claims.add(call, answers[i]!));
  const wrong = [...claims.wrong, ...after.violations];
  if (claims.reaped && claims.beating)
    wrong.push("the session was reaped and its heartbeat answered alive");
  compareLog(before, after, claims, wrong);
  compareReports(before, after, claims, wrong);
  comparePauses(before, after, claims, wrong);
  compareTally(before, after, wrong);
  for (const job of claims.kept)
    if (!after.jobs.has(job)) wrong.push(`${job} was acknowledged, and is not there`);
  const gone = [...before.jobs].filter((job) => !after.jobs.has(job)).length;
  if (gone !== claims.pruned) wrong.push(`${gone} jobs are gone, the answers say ${claims.pruned}`);
  return wrong;
}

function compareLog(before: Snapshot, after: Snapshot, claims: Claims, wrong: string[]): void {
  const added = new Map<string, number>();
  for (const [run, end] of after.outcomes) {
    const old = before.outcomes.get(run);
    if (old === undefined) {
      const state = end.split("/")[0]!;
      added.set(state, (added.get(state) ?? 0) + 1);
    } else if (old !== end) wrong.push(`the outcome of ${run} was changed from ${old} to ${end}`);
  }
  for (const state of Object.keys(RUN_STATES) as RunState[]) {
    const told = claims.decided.get(state) ?? 0;
    const written = added.get(state) ?? 0;
    if (told !== written)
      wrong.push(`the answers tell of ${told} runs ${state}, the log has ${written} new ones`);
  }
}

/** A line that was taken is there, once, as long as its job is; progress is shown until the run has ended. */
function compareReports(before: Snapshot, after: Snapshot, claims: Claims, wrong: string[]): void {
  for (const line of claims.lines)
    if (after.jobs.has(line.split("/")[0]!) && !after.lines.has(line))
      wrong.push(`the line ${line} is lost`);
  for (const line of after.lines)
    if (!before.lines.has(line) && !claims.lines.has(line))
      wrong.push(`nobody wrote the line ${line}`);
  for (const [run, progress] of claims.going)
    if (!after.outcomes.has(run) && after.running.get(run) !== progress)
      wrong.push(`${run} goes on, and its progress is lost`);
}

/** Of two that pause the same, one is told that it changed. */
function comparePauses(before: Snapshot, after: Snapshot, claims: Claims, wrong: string[]): void {
  for (const target of new Set([...before.paused, ...after.paused, ...claims.changed.keys()])) {
    const changed = before.paused.has(target) === after.paused.has(target) ? 0 : 1;
    const told = claims.changed.get(target) ?? 0;
    if (told !== changed) wrong.push(`${target} changed ${changed} times, the answers say ${told}`);
  }
}

/** What is counted is what was written: a row of the log for each end, a job for each enqueue. */
function compareTally(before: Snapshot, after: Snapshot, wrong: string[]): void {
  const written = new Map<number, number>();
  const add = (event: number): void => void written.set(event, (written.get(event) ?? 0) + 1);
  for (const [run, end] of after.outcomes)
    if (!before.outcomes.has(run)) add(RUN_STATES[end.split("/")[0] as RunState]);
  for (const job of after.jobs) if (!before.jobs.has(job)) add(ENQUEUED);
  for (const event of [ENQUEUED, ...Object.values(RUN_STATES)]) {
    const counted = (after.tally.get(event) ?? 0) - (before.tally.get(event) ?? 0);
    const found = written.get(event) ?? 0;
    if (counted !== found)
      wrong.push(`${counted} of event ${event} were counted, ${found} were written`);
  }
}

/** A job as `qudo show` tells it to people. */
import type { AttemptInfo, JobInfo, JobLogLine } from "../client/info.js";
import { humanDuration } from "../core/duration.js";
import type { Reason } from "../core/states.js";
import type { SessionRow } from "../storage/driver.js";
import { outcome, runPaint, took } from "./attempt-table.js";
import { hasEnded, statePaint } from "./job-text.js";
import { painter, plural, type Paint, type Painter } from "./output.js";
import { table, type Column } from "./table.js";
import { firstLine, safe, safeLines, wrap } from "./text.js";
import { brief, clockMs, day, relative, stamp } from "./when.js";

/** All that is known of a job. */
export interface Known {
  readonly job: JobInfo;
  /** Sessions that are still known, by their ids. */
  readonly workers: ReadonlyMap<string, SessionRow>;
  /** Oldest first. */
  readonly attempts: readonly AttemptInfo[];
  /** The last lines, oldest first, and how many there are in all. */
  readonly log: readonly JobLogLine[];
  readonly lines: number;
}

const INDENT = "  ";
/** More of a payload or an error is for --json. */
const MOST_LINES = 60;
/** Runs in the table; the log of outcomes has them all. */
const MOST_RUNS = 20;

const REASONS: Readonly<Record<Reason, string>> = {
  attempts: "no tries left",
  crashes: "its workers crashed",
  aborted: "its handler gave it up",
  purged: "its queue was purged",
  worker_cancelled: "its worker was cancelled",
  expired: "it expired before it could run",
};

export function showText(known: Known, now: number): string {
  const paint = painter(process.stdout);
  const { job } = known;
  const error = job.state === "done" ? null : (job.last?.error ?? null);
  const sections: [title: string, lines: string[]][] = [
    ["", fieldLines(fields(known, now, paint), paint)],
    ["payload", clipped(job.unreadable ?? json(job.payload))],
    [
      "result",
      job.state === "done" && job.last?.result != null ? clipped(json(job.last.result)) : [],
    ],
    ["last error", error === null ? [] : clipped(error)],
    ["runs", runLines(known, now, paint)],
    ["log", logLines(known, paint)],
  ];
  return sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => [...(title === "" ? [] : [paint.bold(title)]), ...lines].join("\n"))
    .join("\n\n");
}

type Field = readonly [name: string, value: string, paint?: Paint | undefined];

/** In the order in which one asks. Empty ones are left out. */
function fields({ job, workers }: Known, now: number, paint: Painter): Field[] {
  const holder = job.worker === null ? undefined : workers.get(job.worker);
  return [
    ["job", job.id, paint.bold],
    ["kind", job.kind],
    ["queue", job.queue],
    ["database", job.database ?? ""],
    ["state", stateText(job, now), statePaint(job.state, paint)],
    ["tries", triesText(job)],
    ["priority", job.priority === 0 ? "" : String(job.priority)],
    ["unique key", job.uniqueKey ?? ""],
    ["made of", job.origin === undefined ? "" : `run ${job.origin.run} of ${job.origin.job}`],
    ["enqueued", moment(job.createdAt, now)],
    [hasEnded(job.state) ? "was due" : "due", moment(job.runAt, now)],
    ["started", moment(job.startedAt, now)],
    ["ended", hasEnded(job.state) ? moment(job.last?.endedAt ?? null, now) : ""],
    ["expires", moment(job.expiresAt, now)],
    ["time-out", job.timeout === null ? "" : humanDuration(job.timeout * 1_000)],
    ["held by", holder === undefined ? (job.worker ?? "") : holderText(holder, now)],
    ["progress", job.progress === null ? "" : JSON.stringify(job.progress)],
  ];
}

function fieldLines(all: readonly Field[], paint: Painter): string[] {
  const shown = all.filter(([, value]) => value !== "");
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(
    ([name, value, own = (text: string) => text]) =>
      `${paint.dim(name.padEnd(width))}  ${own(safe(value))}`,
  );
}

function stateText({ state, runAt, startedAt, last }: JobInfo, now: number): string {
  switch (state) {
    case "pending":
      return runAt.getTime() > now ? `pending, runs ${relative(runAt, now)}` : "pending, due";
    case "failed":
      return runAt.getTime() > now
        ? `failed, next try ${relative(runAt, now)}`
        : "failed, due for its next try";
    case "reserved":
      return "reserved, about to run";
    case "running":
      return startedAt === null ? "running" : `running for ${brief(now - startedAt.getTime())}`;
    case "abandoned":
      return last?.reason == null ? "abandoned" : `abandoned: ${REASONS[last.reason]}`;
    default:
      return state;
  }
}

function triesText({ fails, crashes, maxAttempts }: JobInfo): string {
  const most = maxAttempts === -1 ? "any number" : String(maxAttempts);
  return `${fails} of ${most} failed${crashes > 0 ? `, ${plural(crashes, "crash").replace(/crashs$/, "crashes")}` : ""}`;
}

function holderText({ name, host, pid, seenAt }: SessionRow, now: number): string {
  return `${name} (host ${host}, pid ${pid}), last heartbeat ${relative(new Date(seenAt), now)}`;
}

function moment(at: Date | null, now: number): string {
  return at === null ? "" : `${stamp(at)}  ${relative(at, now)}`;
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/** Text of others below a heading, as wide as the terminal. */
function clipped(text: string): string[] {
  const lines = safeLines(text).split("\n");
  const more = lines.length - MOST_LINES;
  return [
    ...lines.slice(0, MOST_LINES).map((line) => INDENT + line),
    ...(more > 0 ? [`${INDENT}… ${plural(more, "line")} more (--json has all)`] : []),
  ];
}

function runLines({ attempts, workers }: Known, now: number, paint: Painter): string[] {
  if (attempts.length === 0) return [];
  const columns: Column<AttemptInfo>[] = [
    { title: "run", cell: ({ run }) => run },
    {
      title: "came to",
      cell: outcome,
      paint: ({ state }) => runPaint(state, paint),
      whole: true,
    },
    { title: "when", cell: ({ endedAt }) => relative(endedAt, now), whole: true },
    { title: "took", cell: took, whole: true, yields: 1 },
    { title: "worker", cell: ({ worker }) => workers.get(worker ?? "")?.name ?? "", yields: 2 },
    ...(attempts.some(({ retriedBy }) => retriedBy !== undefined)
      ? [{ title: "enqueued again as", cell: ({ retriedBy = "" }: AttemptInfo) => retriedBy }]
      : []),
    { title: "error", cell: ({ error }) => (error === null ? "" : firstLine(error)) },
  ];
  const width = process.stdout.columns;
  const shown = attempts.slice(-MOST_RUNS);
  const lines = table(columns, shown, {
    title: paint.dim,
    ...(width !== undefined && { width: width - INDENT.length }),
  }).map((line) => INDENT + line);
  const earlier = attempts.length - shown.length;
  return earlier > 0
    ? [...lines, `${INDENT}… and ${plural(earlier, "earlier run")} (--json has all)`]
    : lines;
}

/** Lines by run; within one the time, and how grave it is where that is not usual. */
function logLines({ log, lines }: Known, paint: Painter): string[] {
  const levels: Record<JobLogLine["level"], Paint> = {
    debug: paint.dim,
    info: (text) => text,
    warn: paint.yellow,
    error: paint.red,
  };
  const earlier = lines - log.length;
  return [
    ...(earlier > 0
      ? [`${INDENT}… ${plural(earlier, "earlier line")} (--log ${lines} has all)`]
      : []),
    ...log.flatMap((line, i) => {
      const [first, ...more] = logText(line);
      const head =
        log[i - 1]?.run === line.run
          ? []
          : [paint.dim(`${INDENT}run ${line.run}, ${day(line.at)}`)];
      const said = levels[line.level];
      return [
        ...head,
        `${INDENT}${paint.dim(clockMs(line.at))}  ${said(first!)}`,
        ...more.map((text) => `${INDENT}${" ".repeat(CLOCK)}  ${said(text)}`),
      ];
    }),
  ];
}

const CLOCK = "14:03:11.042".length;

function logText({ level, text }: JobLogLine): string[] {
  const said = safeLines(level === "info" ? text : `${level}: ${text}`);
  const width = process.stdout.columns;
  return width === undefined ? said.split("\n") : wrap(said, Math.max(20, width - CLOCK - 4));
}

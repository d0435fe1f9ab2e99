/** Looking into several databases as one: what all of them say, merged. What some could not be asked is said too (IncompleteError). */
import { askAll, complete } from "../../core/ask.js";
import { ENQUEUED, RUN_STATES } from "../../core/states.js";
import type {
  AttemptPage,
  AttemptRow,
  Driver,
  Ending,
  JobPage,
  JobRow,
  JobSource,
  LaneCounts,
  LogRow,
  Part,
  SessionRow,
  TallyRow,
} from "../driver.js";
import { mergedPage } from "./pages.js";

type Looking = Pick<
  Driver,
  | "getJobs"
  | "listJobs"
  | "endings"
  | "payloads"
  | "listLog"
  | "tally"
  | "listAttempts"
  | "counts"
  | "sessions"
  | "audit"
>;

export function looking(parts: readonly Part[]): Looking {
  return {
    async getJobs(ids) {
      const { answers, unasked } = await askAll(parts, async ({ name, driver }) =>
        (await driver.getJobs(ids)).map((row) => row && { ...row, database: name }),
      );
      const found = bestOf<JobRow | null>(ids, answers, [(row) => row !== null]);
      return found.includes(null) ? complete(unasked, found) : found;
    },

    listJobs: (query) =>
      mergedPage<JobRow, JobPage, JobPage>(
        parts,
        query.after,
        {
          ask: (driver, after) => driver.listJobs({ ...query, after }),
          compare: (a, i, b, j) => compareJobs(a, i, b, j),
          limit: query.limit,
          grows: false,
        },
        ({ taken, cursors, next }) => ({
          rows: taken.map(({ row }) => row),
          sources: taken.map(({ page, i }) => page.sources[i]!),
          cursors,
          next,
        }),
      ),

    async endings(ids) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.endings(ids));
      const found = bestOf<Ending>(ids, answers, [
        ({ status }) => status === "living",
        ({ status }) => status === "ended",
      ]);
      const isAbsent = ({ status }: Ending): boolean => status === "absent";
      return found.some(isAbsent) ? complete(unasked, found) : found;
    },

    async payloads(ids) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.payloads(ids));
      const found = bestOf(ids, answers, [(payload) => payload !== null]);
      return found.includes(null) ? complete(unasked, found) : found;
    },

    async listLog(query) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.listLog(query));
      const rows = answers.flatMap(({ said }) => said).toSorted(inLogOrder);
      const found = rows.slice(0, query.limit);
      // A job stands in one database: its log is whole wherever there is some.
      return found.length === 0 ? complete(unasked, found) : found;
    },

    async tally(since) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.tally(since));
      const rows = answers.flatMap(({ said }) => said);
      const sum = (a: TallyRow, b: TallyRow): TallyRow => ({ ...a, n: a.n + b.n });
      const name = ({ minute, queue, kind, event }: TallyRow) => [
        minute,
        queue,
        kind,
        event === "enqueued" ? ENQUEUED : RUN_STATES[event],
      ];
      return complete(unasked, summed(rows, name, sum));
    },

    listAttempts: (query) =>
      mergedPage<AttemptRow, AttemptPage, AttemptPage>(
        parts,
        query.after,
        {
          ask: (driver, after) => driver.listAttempts({ ...query, after }),
          compare: (a, i, b, j) => compareAttempts(a.rows[i]!, b.rows[j]!),
          limit: query.limit,
          grows: true,
        },
        ({ taken, cursors, next }) => ({ rows: taken.map(({ row }) => row), cursors, next }),
      ),

    async counts(filter) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.counts(filter));
      const rows = answers.flatMap(({ said }) => said);
      return complete(
        unasked,
        summed(rows, ({ queue, kind }) => [queue, kind], addCounts),
      );
    },

    async sessions() {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.sessions());
      const rows = answers.flatMap(({ part, said }) =>
        said.map((row) => ({ ...row, database: part.name })),
      );
      return complete(unasked, merged(rows, ({ id }) => id, oneSession).toSorted(byStart));
    },

    async audit() {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.audit());
      const found = answers.flatMap(({ part, said }) =>
        said.map((violation) => ({ ...violation, database: part.name })),
      );
      return complete(unasked, found);
    },
  };
}

/** For each id what is preferred most of what was said; the first answer where nothing is. */
function bestOf<Said>(
  ids: readonly string[],
  answers: readonly { readonly said: readonly Said[] }[],
  /** From the least preferred to the most. */
  preferences: readonly ((said: Said) => boolean)[],
): Said[] {
  const rank = (said: Said): number => preferences.findLastIndex((prefers) => prefers(said));
  return ids.map((_, i) =>
    answers
      .map(({ said }) => said[i]!)
      .reduce((best, one) => (rank(one) > rank(best) ? one : best)),
  );
}

const SOURCES: readonly JobSource[] = ["held", "ready", "delayed", "ended"];

/** As they are listed in one database; ready ones of several queues and kinds by their priority, as far as each database's own order allows. */
function compareJobs(a: JobPage, i: number, b: JobPage, j: number): number {
  const [source, other] = [a.sources[i]!, b.sources[j]!];
  const [one, two] = [a.rows[i]!, b.rows[j]!];
  if (source !== other) return SOURCES.indexOf(source) - SOURCES.indexOf(other);
  switch (source) {
    case "held":
      return 0;
    case "ready":
      return two.priority - one.priority || one.runAt - two.runAt || compare(one.id, two.id);
    case "delayed":
      return one.runAt - two.runAt || compare(one.id, two.id);
    case "ended":
      return endOf(two) - endOf(one) || compare(two.id, one.id);
  }
}

function endOf({ last }: JobRow): number {
  return last?.endedAt ?? 0;
}

function compareAttempts(a: AttemptRow, b: AttemptRow): number {
  return a.endedAt - b.endedAt || compare(a.job, b.job) || a.run - b.run;
}

function inLogOrder(a: LogRow, b: LogRow): number {
  return a.run - b.run || a.seq - b.seq;
}

function byStart(a: SessionRow, b: SessionRow): number {
  return a.startedAt - b.startedAt || compare(a.id, b.id);
}

function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Rows of one name as one, in the order of the names. */
function summed<Row>(
  rows: readonly Row[],
  nameOf: (row: Row) => readonly (string | number)[],
  add: (a: Row, b: Row) => Row,
): Row[] {
  return merged(rows, (row) => JSON.stringify(nameOf(row)), add).toSorted((a, b) => {
    const [one, two] = [nameOf(a), nameOf(b)];
    const at = one.findIndex((part, i) => part !== two[i]);
    return at < 0 ? 0 : compare(one[at]!, two[at]!);
  });
}

function merged<Row>(
  rows: readonly Row[],
  nameOf: (row: Row) => string,
  add: (a: Row, b: Row) => Row,
): Row[] {
  const found = new Map<string, Row>();
  for (const row of rows) {
    const name = nameOf(row);
    const before = found.get(name);
    found.set(name, before === undefined ? row : add(before, row));
  }
  return [...found.values()];
}

/** Paused only where all of it is: in one that is not, jobs are claimed. */
function addCounts(a: LaneCounts, b: LaneCounts): LaneCounts {
  return {
    queue: a.queue,
    kind: a.kind,
    paused: a.paused && b.paused,
    pending: a.pending + b.pending,
    failed: a.failed + b.failed,
    delayed: a.delayed + b.delayed,
    reserved: a.reserved + b.reserved,
    running: a.running + b.running,
    done: a.done + b.done,
    abandoned: a.abandoned + b.abandoned,
    cancelled: a.cancelled + b.cancelled,
  };
}

/** One that works on several databases under one id: its last sign of life in any of them, and all that it holds. */
function oneSession({ database: _, ...a }: SessionRow, b: SessionRow): SessionRow {
  return {
    ...a,
    beat: Math.max(a.beat, b.beat),
    seenAt: Math.max(a.seenAt, b.seenAt),
    startedAt: Math.min(a.startedAt, b.startedAt),
    leases: a.leases + b.leases,
  };
}

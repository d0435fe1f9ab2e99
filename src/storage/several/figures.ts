/** Figures of several databases: the sums of what all of them say. */
import { askAll, complete } from "../../core/ask.js";
import { ENQUEUED, RUN_STATES } from "../../core/states.js";
import type { Driver, LaneCounts, Part, SessionRow, TallyRow } from "../driver.js";
import { compare } from "./compare.js";

type Figures = Pick<Driver, "time" | "tally" | "counts" | "sessions" | "limits" | "audit">;

export function figures(parts: readonly Part[]): Figures {
  return {
    /** The latest of their clocks: what is there by any of them is past. */
    async time() {
      const { answers } = await askAll(parts, ({ driver }) => driver.time());
      return Math.max(...answers.map(({ said }) => said));
    },
    async tally(since) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.tally(since));
      const rows = answers.flatMap(({ said }) => said);
      return complete(unasked, summed(rows, nameOfTally, addTallies));
    },
    async counts(query) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.counts(query));
      const rows = answers.flatMap(({ said }) => said);
      return complete(unasked, summed(rows, nameOfLane, addCounts));
    },
    async sessions() {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.sessions());
      const rows = answers.flatMap(({ part, said }) =>
        said.map((row) => ({ ...row, database: part.name })),
      );
      return complete(unasked, merged(rows, ({ id }) => id, oneSession).toSorted(byStart));
    },
    // Each keeps its own: they are not summed.
    async limits() {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.limits());
      const rows = answers.flatMap(({ part, said }) =>
        said.map((row) => ({ ...row, database: part.name })),
      );
      return complete(unasked, rows);
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

type Name = readonly (string | number)[];

/** In the order in which one database lists them. */
function nameOfTally({ minute, queue, kind, event }: TallyRow): Name {
  return [minute, queue, kind, event === "enqueued" ? ENQUEUED : RUN_STATES[event]];
}

function addTallies(a: TallyRow, b: TallyRow): TallyRow {
  return { ...a, n: a.n + b.n };
}

function nameOfLane({ queue, kind }: LaneCounts): Name {
  return [queue, kind];
}

function byStart(a: SessionRow, b: SessionRow): number {
  return a.startedAt - b.startedAt || compare(a.id, b.id);
}

/** Rows of one name as one, in the order of the names. */
function summed<Row>(
  rows: readonly Row[],
  nameOf: (row: Row) => Name,
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
    dueSince: earlier(a.dueSince, b.dueSince),
    reserved: a.reserved + b.reserved,
    running: a.running + b.running,
    done: a.done + b.done,
    abandoned: a.abandoned + b.abandoned,
    cancelled: a.cancelled + b.cancelled,
  };
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

/** One that works on several databases under one id: its last sign of life in any of them, and all that it holds. */
function oneSession({ database: _database, ...a }: SessionRow, b: SessionRow): SessionRow {
  return {
    ...a,
    beat: Math.max(a.beat, b.beat),
    seenAt: Math.max(a.seenAt, b.seenAt),
    startedAt: Math.min(a.startedAt, b.startedAt),
    leases: a.leases + b.leases,
  };
}

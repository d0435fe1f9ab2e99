/**
 * Pages of jobs from five sources: the leases (what is held), ready, keyed and delayed (what waits), the log (what has ended). Each has
 * its key, and a cursor names a source and the key of the row that was looked at last. A call looks at a bounded number of
 * rows, so that a filter that hardly anything passes blocks nobody: then the page is short, and says where to go on.
 */
import type { JobState } from "../../core/states.js";
import type { JobPage, JobQuery, JobRow, JobSource } from "../driver.js";
import { badCursor, keyOf, type Key, type KeyShape } from "./cursor.js";

/** What an engine knows of a row that was looked at: all that decides whether its job is on the page. */
export interface Seen {
  readonly lane: number | null;
  /** Null for a row that is no word on its job: a run decided since, an outcome that others followed. */
  readonly state: JobState | null;
  readonly createdAt: number | null;
}

export interface Source {
  readonly name: JobSource;
  readonly states: readonly JobState[];
  readonly key: KeyShape;
}

const WAITING = ["pending", "failed"] as const;

/** In the order in which they are listed. */
const SOURCES: readonly Source[] = [
  { name: "held", states: ["reserved", "running"], key: ["id", "number"] },
  { name: "ready", states: WAITING, key: ["number", "number", "number", "id"] },
  { name: "keyed", states: WAITING, key: ["number", "id", "number", "number", "id"] },
  { name: "delayed", states: WAITING, key: ["number", "id"] },
  {
    name: "ended",
    states: ["done", "abandoned", "cancelled", "moved"],
    key: ["number", "id", "number"],
  },
];

/** The sources that are to be gone through, each with the key after which to begin; null for its beginning. */
export function sourcesOf(query: JobQuery): (readonly [Source, Key | null])[] {
  const { at, key } = query.after === undefined ? { at: 0, key: null } : startAfter(query.after);
  return SOURCES.slice(at)
    .map((source, i) => [source, i === 0 ? key : null] as const)
    .filter(([{ states }]) => query.states?.some((state) => states.includes(state)) ?? true);
}

function startAfter(cursor: string): { at: number; key: Key } {
  const name = cursor.slice(0, Math.max(0, cursor.indexOf("/")));
  const at = SOURCES.findIndex((source) => source.name === name);
  const source = SOURCES[at];
  if (source === undefined) throw badCursor(cursor);
  return { at, key: keyOf(cursor.slice(name.length + 1), source.key) };
}

/** A page while it fills. */
export class Page {
  private readonly rows: JobRow[] = [];
  private readonly sources: JobSource[] = [];
  private readonly cursors: string[] = [];
  private left: number;

  /** `lanes`: those that the query asks for. */
  constructor(
    private readonly query: JobQuery,
    private readonly lanes: ReadonlySet<number>,
  ) {
    this.left = 10 * query.limit + 1_000;
  }

  /** Jobs that it still has room for. */
  get room(): number {
    return this.query.limit - this.rows.length;
  }

  fits({ lane, state, createdAt }: Seen): boolean {
    const { states, since = -Infinity, until = Infinity } = this.query;
    if (lane === null || state === null || createdAt === null) return false;
    return (
      this.lanes.has(lane) &&
      (states?.includes(state) ?? true) &&
      since <= createdAt &&
      createdAt < until
    );
  }

  /** One row was looked at; `job` is null where it is not to be listed. True when the page ends with it. */
  took({ name }: Source, key: () => string, job: JobRow | null): boolean {
    if (job !== null) {
      this.rows.push(job);
      this.sources.push(name);
      this.cursors.push(`${name}/${key()}`);
    }
    return this.rows.length === this.query.limit || --this.left === 0;
  }

  /** The page as it is. It ended with a row of this source, whose key as a cursor is given; null: there is nothing more. */
  close(last: { readonly source: Source; readonly key: string } | null): JobPage {
    const { rows, sources, cursors } = this;
    return { rows, sources, cursors, next: last && `${last.source.name}/${last.key}` };
  }
}

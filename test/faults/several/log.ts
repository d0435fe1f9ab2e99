/** The log outside: what the processes were told, line by line, read when all is over. */
import { readFileSync } from "node:fs";

export type Settled = "acked" | "unknown" | "refused";

/** One call of `enqueue`, as its caller saw it. */
export interface Call {
  readonly id: string;
  readonly askedAt: number;
  /** Null: its process was killed before it heard. */
  readonly settledAt: number | null;
  readonly settled: Settled | null;
  /** Of an unknown outcome: what the error named. */
  readonly database: string | null;
  readonly ids: readonly string[];
  /** Of a refused one. */
  readonly error: string | null;
}

export interface Run {
  readonly id: string;
  readonly run: number;
}

export interface Change {
  readonly at: number;
  /** Whose log it stands in. */
  readonly log: string;
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string | null;
}

export interface Story {
  readonly calls: readonly Call[];
  /** Handlers that began, as often as they did. */
  readonly starts: readonly Run[];
  /** Ends that the worker was told are accepted. */
  readonly done: readonly Run[];
  readonly changes: readonly Change[];
  /** What was said to the loggers, of all processes. */
  readonly lines: readonly string[];
}

type Line = readonly [at: number, event: string, ...rest: unknown[]];

export function readStory(logs: readonly string[]): Story {
  const calls = new Map<string, Call>();
  const [starts, done]: [Run[], Run[]] = [[], []];
  const changes: Change[] = [];
  const lines: string[] = [];
  for (const log of logs)
    for (const [at, event, ...rest] of linesOf(log)) {
      const [id, second, third] = rest as [string, unknown, unknown];
      if (event === "asked") calls.set(id, { ...NOTHING, id, askedAt: at });
      else if (event === "start") starts.push({ id, run: second as number });
      else if (event === "done") done.push({ id, run: second as number });
      else if (event === "database") changes.push({ ...(rest[0] as Change), at, log });
      else if (event === "line") lines.push(id);
      else if (event !== "end") {
        const settled = event as Settled;
        const named =
          settled === "unknown"
            ? { database: second as string, ids: third as string[] }
            : { error: settled === "refused" ? `${String(second)}: ${String(third)}` : null };
        calls.set(id, { ...calls.get(id)!, settledAt: at, settled, ...named });
      }
    }
  return { calls: [...calls.values()], starts, done, changes, lines };
}

const NOTHING = { settledAt: null, settled: null, database: null, ids: [], error: null } as const;

/** A process that was killed may have left half a line. */
function linesOf(log: string): Line[] {
  const lines = readFileSync(log, "utf8").split("\n");
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Line);
}

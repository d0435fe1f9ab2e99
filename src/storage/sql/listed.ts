/** Pages of lists that go along one key: what all engines do alike with the rows they found. */
import type {
  AttemptPage,
  AttemptRow,
  DuePage,
  DueRow,
  RunningPage,
  RunningRow,
} from "../driver.js";
import { cursorOf, type Key } from "./cursor.js";

interface PageOf<Row> {
  readonly rows: readonly Row[];
  readonly cursors: readonly string[];
  readonly next: string | null;
}

/** The page that these rows are, where `limit` were asked for: a full one may have more behind it. */
function pageOf<Row>(rows: readonly Row[], limit: number, keyOf: (row: Row) => Key): PageOf<Row> {
  const cursors = rows.map((row) => cursorOf(keyOf(row)));
  return { rows, cursors, next: rows.length === limit ? (cursors.at(-1) ?? null) : null };
}

export const attemptPage = (rows: readonly AttemptRow[], limit: number): AttemptPage =>
  pageOf(rows, limit, ({ endedAt, job, run }) => [endedAt, job, run]);

export const runningPage = (rows: readonly RunningRow[], limit: number): RunningPage =>
  pageOf(rows, limit, ({ startedAt, job, run }) => [startedAt, job, run]);

export const duePage = (rows: readonly DueRow[], limit: number): DuePage =>
  pageOf(rows, limit, ({ dueAt, job }) => [dueAt, job]);

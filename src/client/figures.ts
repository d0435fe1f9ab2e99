/** The figures that tell how a queue is doing, made of counts of what has not ended. */
import type { LaneCounts } from "../storage/driver.js";

/** How many jobs are unfinished, and where they stand. */
export interface Figures {
  /** Shown as running, which is after a second or by their progress. */
  readonly running: number;
  /** In a worker's hands and not shown as running. */
  readonly reserved: number;
  /** Waiting, for their first run or for another one. */
  readonly pending: number;
  /** Of the pending ones, those that are not due yet. */
  readonly delayed: number;
  /** Of the pending ones, those whose last run failed or crashed. */
  readonly failed: number;
  /** All that have not ended: running, reserved and pending. */
  readonly outstanding: number;
  /** Due and unfinished: what workers could be busy with now. Outstanding without the delayed ones. */
  readonly load: number;
  /** Since when the first of the due ones waits; null where none does. */
  readonly dueSince: Date | null;
}

/** {@link Figures} of one of several databases. */
export interface DatabaseFigures extends Figures {
  /** Its name; null where there is no list of databases. */
  readonly database: string | null;
}

/** The sum over all lanes. */
export function figuresOf(lanes: readonly LaneCounts[]): Figures {
  const sum = (of: (lane: LaneCounts) => number): number =>
    lanes.reduce((total, lane) => total + of(lane), 0);
  const [running, reserved] = [sum((lane) => lane.running), sum((lane) => lane.reserved)];
  const failed = sum((lane) => lane.failed);
  const pending = failed + sum((lane) => lane.pending);
  const delayed = sum((lane) => lane.delayed);
  const outstanding = running + reserved + pending;
  const dues = lanes.flatMap(({ dueSince }) => dueSince ?? []);
  return {
    running,
    reserved,
    pending,
    delayed,
    failed,
    outstanding,
    load: outstanding - delayed,
    dueSince: dues.length === 0 ? null : new Date(Math.min(...dues)),
  };
}

/** What operators do to jobs and sessions of several databases as one: all are asked, and whoever knows them answers. */
import { askAll, complete } from "../../core/ask.js";
import type {
  CancelOutcome,
  DismissOutcome,
  Driver,
  Part,
  PurgeOutcome,
  RescheduleOutcome,
  RetryOutcome,
  RevivalOutcome,
} from "../driver.js";

export type OnJobs = Pick<
  Driver,
  "cancel" | "purge" | "retry" | "reschedule" | "enqueueFromFailed" | "dismiss"
>;

export function onJobs(parts: readonly Part[]): OnJobs {
  return {
    cancel: (ids) => ask(parts, (driver) => driver.cancel(ids), cancelled),
    purge: (ids) => ask(parts, (driver) => driver.purge(ids), purged),
    retry: (ids) => ask(parts, (driver) => driver.retry(ids), retried),
    reschedule: (changes) => ask(parts, (driver) => driver.reschedule(changes), rescheduled),
    enqueueFromFailed: (revivals) =>
      ask(parts, (driver) => driver.enqueueFromFailed(revivals), revived),
    dismiss: (sessions, how) => ask(parts, (driver) => driver.dismiss(sessions, how), dismissed),
  };
}

/** Of what two of them say the one that knows, or has done, more. */
type Merge<T> = (a: T, b: T) => T;

/** @throws IncompleteError where nobody knows one of them, and a database could not be asked. */
async function ask<T extends string | { readonly status: string }>(
  parts: readonly Part[],
  call: (driver: Driver) => Promise<T[]>,
  merge: Merge<T>,
): Promise<T[]> {
  const { answers, unasked } = await askAll(parts, ({ driver }) => call(driver));
  const found = answers[0]!.said.map((_, i) => answers.map(({ said }) => said[i]!).reduce(merge));
  return found.some((one) => statusOf(one) === "absent") ? complete(unasked, found) : found;
}

function statusOf(outcome: string | { readonly status: string }): string {
  return typeof outcome === "string" ? outcome : outcome.status;
}

/** That which stands later in this list. */
function later<T extends string | { readonly status: string }>(
  ...order: readonly (T extends { readonly status: infer Status } ? Status : T)[]
): Merge<T> {
  const names: readonly unknown[] = order;
  const rank = (outcome: T): number => names.indexOf(statusOf(outcome));
  return (a, b) => (rank(b) > rank(a) ? b : a);
}

const cancelled = later<CancelOutcome>("absent", "already", "cancelled");
const purged = later<PurgeOutcome>("absent", "already", "cancelled", "abandoned");
const retried = later<RetryOutcome>("absent", "refused", "unique", "requeued");
const rescheduled = later<RescheduleOutcome>("absent", "refused", "rescheduled");
const revived = later<RevivalOutcome>(
  "absent",
  "duplicate",
  "refused",
  "unique",
  "already",
  "inserted",
);

/** A worker may have a session in each of them, under one id: only all of these together are its end. */
const dismissed: Merge<DismissOutcome> = (a, b) => {
  if (a.status === "dismissed" && b.status === "dismissed")
    return { status: "dismissed", runs: a.runs + b.runs };
  return later<DismissOutcome>("absent", "dismissed")(a, b);
};

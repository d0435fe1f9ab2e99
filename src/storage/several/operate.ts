/** What operators and maintenance do to several databases as one: sent to all, the answers merged. */
import { askAll, askEach, complete, noneAnswers } from "../../core/ask.js";
import { QudoError } from "../../core/errors.js";
import type {
  CancelOutcome,
  DatabaseMode,
  DismissOutcome,
  Driver,
  MigrationReport,
  Part,
  PruneOutcome,
  PruneStep,
  PurgeOutcome,
  RescheduleOutcome,
  RetryOutcome,
  RevivalOutcome,
} from "../driver.js";

type Operating = Pick<
  Driver,
  | "migrate"
  | "schemaVersion"
  | "ping"
  | "close"
  | "cancel"
  | "retry"
  | "purge"
  | "reschedule"
  | "enqueueFromFailed"
  | "dismiss"
  | "setPaused"
  | "promote"
  | "prune"
  | "identify"
  | "rename"
  | "setMode"
  | "grants"
>;

export function operating(parts: readonly Part[]): Operating {
  return {
    async migrate() {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.migrate());
      return complete(unasked, answers.map(({ said }) => said).reduce(oldest));
    },
    async schemaVersion() {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.schemaVersion());
      const versions = answers.map(({ said }) => said);
      return complete(unasked, versions.includes(null) ? null : Math.min(...versions.map(Number)));
    },
    /** As long as one takes writes all of them do together. The latest of their clocks: what is there by any of them is past. */
    async ping() {
      const { answers } = await askAll(parts, ({ driver }) => driver.ping());
      return { now: Math.max(...answers.map(({ said }) => said.now)) };
    },
    async close() {
      await Promise.allSettled(parts.map(({ driver }) => driver.close()));
    },

    async cancel(ids) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.cancel(ids));
      const found = ids.map((_, i) => answers.map(({ said }) => said[i]!).reduce(cancelledOf));
      return found.includes("absent") ? complete(unasked, found) : found;
    },
    async retry(ids) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.retry(ids));
      const found = ids.map((_, i) => answers.map(({ said }) => said[i]!).reduce(retriedOf));
      return found.some(isAbsent) ? complete(unasked, found) : found;
    },
    async purge(ids) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.purge(ids));
      const found = ids.map((_, i) => answers.map(({ said }) => said[i]!).reduce(purgedOf));
      return found.includes("absent") ? complete(unasked, found) : found;
    },
    async reschedule(changes) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.reschedule(changes));
      const found = changes.map((_, i) =>
        answers.map(({ said }) => said[i]!).reduce(rescheduledOf),
      );
      return found.some(isAbsent) ? complete(unasked, found) : found;
    },
    async enqueueFromFailed(revivals) {
      const { answers, unasked } = await askAll(parts, ({ driver }) =>
        driver.enqueueFromFailed(revivals),
      );
      const found = revivals.map((_, i) => answers.map(({ said }) => said[i]!).reduce(revivedOf));
      return found.some(isAbsent) ? complete(unasked, found) : found;
    },
    async dismiss(sessions, how) {
      const { answers, unasked } = await askAll(parts, ({ driver }) =>
        driver.dismiss(sessions, how),
      );
      const found = sessions.map((_, i) => answers.map(({ said }) => said[i]!).reduce(dismissedOf));
      return found.some(isAbsent) ? complete(unasked, found) : found;
    },
    async setPaused(target, paused) {
      const { answers, unasked } = await askAll(parts, ({ driver }) =>
        driver.setPaused(target, paused),
      );
      return complete(
        unasked,
        answers.some(({ said }) => said),
      );
    },

    async promote(limit) {
      const { answers } = await askAll(parts, ({ driver }) => driver.promote(limit));
      const dues = answers.flatMap(({ said }) => said.nextDueMs ?? []);
      return {
        moved: answers.reduce((sum, { said }) => sum + said.moved, 0),
        nextDueMs: dues.length === 0 ? null : Math.min(...dues),
      };
    },
    prune: (step) => prune(parts, step),

    // Each is somebody of its own, and is asked by itself.
    identify: () => Promise.reject(asOne("has no identity")),
    rename: () => Promise.reject(asOne("has no name")),
    async setMode(mode: DatabaseMode) {
      const { unasked } = await askAll(parts, ({ driver }) => driver.setMode(mode));
      complete(unasked, undefined);
    },
    grants: () => grants(parts),
  };
}

function asOne(what: string): QudoError {
  return new QudoError(
    "QUDO_UNSUPPORTED",
    `A list of several databases ${what}: each of them has its own.`,
  );
}

function isAbsent({ status }: { readonly status: string }): boolean {
  return status === "absent";
}

/** The oldest of the versions found says from where all were brought up to date. */
function oldest(a: MigrationReport, b: MigrationReport): MigrationReport {
  const from = a.from === null || b.from === null ? null : Math.min(a.from, b.from);
  return { from, to: Math.min(a.to, b.to) };
}

/** Of what two of them say: that which stands later in this list, because it knows, or has done, more. */
function later<T extends string>(order: readonly T[]): (a: T, b: T) => T {
  return (a, b) => (order.indexOf(b) > order.indexOf(a) ? b : a);
}

function laterStatus<T extends { readonly status: string }>(
  order: readonly T["status"][],
): (a: T, b: T) => T {
  return (a, b) => (order.indexOf(b.status) > order.indexOf(a.status) ? b : a);
}

const cancelledOf = later<CancelOutcome>(["absent", "already", "cancelled"]);
const purgedOf = later<PurgeOutcome>(["absent", "already", "cancelled", "abandoned"]);
const retriedOf = laterStatus<RetryOutcome>(["absent", "refused", "unique", "requeued"]);
const rescheduledOf = laterStatus<RescheduleOutcome>(["absent", "refused", "rescheduled"]);
const revivedOf = laterStatus<RevivalOutcome>([
  "absent",
  "duplicate",
  "refused",
  "unique",
  "already",
  "inserted",
]);
/** A worker has a session in each of them, under one id: only all of them together are its end. */
const dismissedOf = (a: DismissOutcome, b: DismissOutcome): DismissOutcome => {
  if (a.status === "dismissed" && b.status === "dismissed")
    return { status: "dismissed", runs: a.runs + b.runs };
  return laterStatus<DismissOutcome>(["absent", "dismissed", "busy"])(a, b);
};

/**
 * One step in each of them that is not through. The cursor holds where each is; one that could not be asked is asked again by the
 * next step, and does not make it go on.
 */
async function prune(parts: readonly Part[], step: PruneStep): Promise<PruneOutcome> {
  const after = new Map(step.after === null ? [] : (JSON.parse(step.after) as [string, string][]));
  const asked = await askEach(parts, ({ name, driver }) =>
    driver.prune({ ...step, after: after.get(name) ?? null }),
  );
  if (asked.answers.length === 0) throw noneAnswers(asked);
  for (const { part, said } of asked.answers)
    if (said.after !== null) after.set(part.name, said.after);
  return complete(asked.unasked, {
    pruned: asked.answers.reduce((sum, { said }) => sum + said.pruned, 0),
    after: after.size === 0 ? null : JSON.stringify([...after]),
    more: asked.answers.some(({ said }) => said.more),
  });
}

async function grants(parts: readonly Part[]): Promise<string> {
  const texts = await Promise.all(parts.map(grantsOf));
  const found = texts.filter((text) => text !== null);
  if (found.length > 0) return found.join("\n");
  throw new QudoError(
    "QUDO_UNSUPPORTED",
    "None of the databases knows roles. Who may use a file is said by the rights of the file and its folder.",
  );
}

async function grantsOf({ name, driver }: Part): Promise<string | null> {
  try {
    const text = await driver.grants?.();
    return text === undefined ? null : `-- ${name}: ${driver.label}\n${text}`;
  } catch (error) {
    if (error instanceof QudoError && error.code === "QUDO_UNSUPPORTED") return null;
    throw error;
  }
}

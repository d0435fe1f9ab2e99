/** What operators and maintenance do to several databases as one: sent to all, the answers merged. */
import { askAll, askEach, complete, noneAnswers } from "../../core/ask.js";
import { QudoError } from "../../core/errors.js";
import type {
  DatabaseMode,
  Driver,
  MigrationReport,
  Part,
  PruneOutcome,
  PruneStep,
} from "../driver.js";
import { onJobs, type OnJobs } from "./on-jobs.js";

type Operating = OnJobs &
  Pick<
    Driver,
    | "migrate"
    | "schemaVersion"
    | "ping"
    | "close"
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

    ...onJobs(parts),
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

/** The oldest of the versions found says from where all were brought up to date. */
function oldest(a: MigrationReport, b: MigrationReport): MigrationReport {
  const from = a.from === null || b.from === null ? null : Math.min(a.from, b.from);
  return { from, to: Math.min(a.to, b.to) };
}

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

/** What operators do to queues and to the database as a whole. */
import { LIMITS } from "../core/defaults.js";
import { InvalidInputError, QudoError } from "../core/errors.js";
import { keepPolicy, POLICY_OPTIONS, type KeepPolicy, type KeepPolicyTimes } from "../core/keep.js";
import { checkFlag, checkName, checkOptions, show } from "../core/options.js";
import { turn, type Time } from "../core/time.js";
import type { Driver, PruneOutcome, PruneStep } from "../storage/driver.js";
import { REAL } from "../storage/time.js";
import { Gaps } from "./gaps.js";

/** What is to be kept, in place of the policy. */
export interface PruneOptions extends KeepPolicy {
  /** Counts only what would go. Default false. */
  dryRun?: boolean;
}

/** What was deleted, or with `dryRun` would be. */
export interface Pruned {
  readonly jobs: number;
  /** Rows of figures per minute. */
  readonly counts: number;
}

/** What in a queue is meant. */
export interface PauseOptions {
  /** Only this kind in the queue. Default: the whole queue. */
  kind?: string;
}

/** The file that a backup made. */
export interface BackupReport {
  readonly path: string;
  readonly bytes: number;
}

/** Size of the database before and after. */
export interface CompactReport {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export class Upkeep {
  constructor(
    private readonly driver: () => Promise<Driver>,
    private readonly policy: KeepPolicyTimes,
    private readonly time: Time = REAL,
  ) {}

  async setPaused(queue: string, options: PauseOptions, paused: boolean): Promise<boolean> {
    checkOptions(options, ["kind"], paused ? "pause" : "resume");
    const { kind } = options;
    const target = {
      queue: checkName(queue, "queue"),
      kind: kind === undefined ? null : checkName(kind, "kind"),
    };
    return (await this.driver()).setPaused(target, paused);
  }

  /** All that may go now, in small steps, between which others write and the event loop turns. */
  async prune(options: PruneOptions): Promise<Pruned> {
    checkOptions(options, [...POLICY_OPTIONS, "dryRun"], "prune");
    const { dryRun = false, ...keep } = options;
    const dry = checkFlag(dryRun, "dryRun");
    const { keepDoneMs, keepOtherMs, keepCountsMs } = keepPolicy(keep, "prune", this.policy);
    const driver = await this.driver();
    const unasked = new Gaps();
    const scan = (name: PruneStep["scan"], keepMs: number): Promise<number> =>
      scanAll(driver, { scan: name, keepMs, dryRun: dry }, unasked, this.time);
    const done = await scan("done", keepDoneMs);
    const other = await scan("other", keepOtherMs);
    const own = await scan("own", 0);
    const counts = await scan("counts", keepCountsMs);
    return unasked.complete({ jobs: done + other + own, counts });
  }

  async backup(path: string): Promise<BackupReport> {
    if (typeof path !== "string" || path === "")
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        `backup takes the path of a new file, not ${show(path)}.`,
      );
    const driver = await this.driver();
    if (driver.backup === undefined) throw unsupported(driver, "copied");
    return { path, ...(await driver.backup(path)) };
  }

  async compact(): Promise<CompactReport> {
    const driver = await this.driver();
    if (driver.compact === undefined) throw unsupported(driver, "compacted");
    return driver.compact();
  }
}

async function scanAll(
  driver: Driver,
  scan: Pick<PruneStep, "scan" | "keepMs" | "dryRun">,
  unasked: Gaps,
  time: Time,
): Promise<number> {
  let after: string | null = null;
  for (let pruned = 0; ;) {
    const asked = driver.prune({ ...scan, after, limit: LIMITS.rowsPerStatement });
    const step: PruneOutcome = await unasked.passing(asked);
    pruned += step.pruned;
    if (!step.more) return pruned;
    after = step.after;
    await turn(time);
  }
}

function unsupported({ label, parts }: Driver, what: string): QudoError {
  if (parts !== undefined)
    return new QudoError(
      "QUDO_UNSUPPORTED",
      `Several databases cannot be ${what} as one: there is no one moment at which all of them stand still. Open each file by itself: new Qudo({ databases: "sqlite:…" }).`,
    );
  return new QudoError(
    "QUDO_UNSUPPORTED",
    `${label} cannot be ${what} by qudo: that works for files only. Use the tools of the database.`,
  );
}

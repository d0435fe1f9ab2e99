/** What actors were told, written down while it storms. */
import type { Decision } from "../../../src/core/outcome.js";
import type {
  ClaimedJob,
  InsertOutcome,
  NewJob,
  RunKey,
  SettleGroup,
  SettleOutcome,
} from "../../../src/storage/driver.js";

export const runName = ({ job, run }: RunKey): string => `${job}/${run}`;

/** Who ended a run, and how. */
export function endName(
  session: string | null,
  { state, reason }: Pick<Decision, "state" | "reason">,
) {
  return `${session} ${state} ${reason}`;
}

/** Without its reason: what is sent again is known by who decided what. */
export const stateOf = (end: string): string => end.split(" ", 2).join(" ");

/** What all actors together were told. */
export class Ledger {
  /** Everything that went wrong, in words. */
  readonly wrong: string[] = [];
  readonly inserted: string[] = [];
  /** Calls of the past: any of them may be sent again. */
  readonly calls: NewJob[][] = [];
  /** Jobs that may have ended, so that they may have been pruned. */
  readonly ended = new Set<string>();
  settled: { run: string; end: string; outcome: SettleOutcome }[] = [];
  /** Sessions that were ended by others. */
  readonly dead = new Set<string>();
  private readonly known = new Set<string>();
  private readonly claimed = new Map<string, string>();

  inserts(jobs: readonly NewJob[], outcomes: readonly InsertOutcome[]): void {
    for (const [i, { status }] of outcomes.entries())
      if (status === "inserted") this.insertsOne(jobs[i]!.id);
  }

  /** One that has ended and was pruned is not known any more: sent again, it is a new job. */
  private insertsOne(id: string): void {
    if (this.known.has(id)) {
      if (!this.ended.delete(id)) this.wrong.push(`${id} was inserted twice`);
      for (const run of this.claimed.keys()) if (run.startsWith(id)) this.claimed.delete(run);
      this.settled = this.settled.filter(({ run }) => !run.startsWith(id));
    } else this.inserted.push(id);
    this.known.add(id);
  }

  claims(lease: string, jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) {
      const before = this.claimed.get(runName(job));
      if (before !== undefined && before !== lease)
        this.wrong.push(`${runName(job)} was claimed by ${before} and by ${lease}`);
      this.claimed.set(runName(job), lease);
      // The next crash may be its last one.
      if (job.crashes >= 2) this.ended.add(job.job);
    }
  }

  settles(group: SettleGroup, outcomes: readonly SettleOutcome[]): void {
    for (const [i, one] of group.settlements.entries()) {
      const outcome = outcomes[i]!;
      this.settled.push({ run: runName(one), end: endName(group.session, one), outcome });
      if (outcome === "accepted" && one.next === null) this.ended.add(one.job);
    }
  }
}

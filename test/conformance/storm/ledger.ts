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
  /** Jobs of inserts whose answers have not come, and how many each. */
  private readonly asked = new Map<string, number>();
  /** Of them, those that were claimed in a new life before the answer to their insert was heard. */
  readonly early = new Set<string>();
  private readonly claimed = new Map<string, string>();

  /** These are on their way. Returns what is to be called when they have been answered. */
  inserting(jobs: readonly NewJob[]): () => void {
    for (const { id } of jobs) this.asked.set(id, (this.asked.get(id) ?? 0) + 1);
    return () => {
      for (const { id } of jobs) this.asked.set(id, this.asked.get(id)! - 1);
    };
  }

  inserts(jobs: readonly NewJob[], outcomes: readonly InsertOutcome[]): void {
    for (const [i, { status }] of outcomes.entries())
      if (status === "inserted") this.insertsOne(jobs[i]!.id);
  }

  /** One that has ended and was pruned is not known any more: sent again, it is a new job. */
  private insertsOne(id: string): void {
    if (this.early.delete(id)) return;
    if (this.known.has(id)) {
      if (!this.ended.has(id)) this.wrong.push(`${id} was inserted twice`);
      this.beginsAnew(id);
    } else this.inserted.push(id);
    this.known.add(id);
  }

  private beginsAnew(id: string): void {
    this.ended.delete(id);
    for (const run of this.claimed.keys()) if (run.startsWith(id)) this.claimed.delete(run);
    this.settled = this.settled.filter(({ run }) => !run.startsWith(id));
  }

  /** It may have been pruned, and an insert of it that is not answered yet may be committed. */
  private mayHaveBegunAnew(id: string): boolean {
    return this.ended.has(id) && (this.asked.get(id) ?? 0) > 0;
  }

  claims(lease: string, jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) {
      const before = this.claimed.get(runName(job));
      if (before !== undefined && before !== lease && this.mayHaveBegunAnew(job.job)) {
        this.beginsAnew(job.job);
        this.early.add(job.job);
      } else if (before !== undefined && before !== lease)
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

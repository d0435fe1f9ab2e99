/** Makes tasks of runs, and puts them on the desk. */
import type { RunState } from "../../core/states.js";
import type { Settlement } from "../../storage/driver.js";
import type { Run } from "../context.js";
import { failed, prepare } from "../executor.js";
import type { Hand, HandCrew } from "../hand.js";
import type { Logger } from "../options.js";
import type { Places } from "../places.js";
import { Answers } from "./answers.js";
import type { Desk } from "./desk.js";
import { Hold } from "./hold.js";
import { HandedTask } from "./task.js";

export class Handing implements Hand {
  private readonly answers = new Answers();
  private readonly holds = new Set<Hold>();

  constructor(
    readonly kinds: readonly string[] | null,
    private readonly desk: Desk,
    private readonly logger: Logger,
  ) {}

  get places(): Places {
    return this.desk.demand;
  }

  /** The task of this job, where it is in somebody's hands. */
  find(job: string): Hold | undefined {
    for (const hold of this.holds) if (hold.run.id === job) return hold;
    return undefined;
  }

  async take(run: Run, crew: HandCrew): Promise<void> {
    let payload: unknown;
    try {
      payload = await prepare(run, crew);
    } catch (error) {
      // It cannot be read, or its schema refuses it: that is this job's failure, and nobody's else.
      run.decided = true;
      return crew.settle(run, failed(run, error, crew));
    }
    const hold = this.handOut(run, crew, payload);
    if (hold === null) return;
    await hold.over;
    this.holds.delete(hold);
    this.desk.gone();
  }

  readonly ended = (settlement: Settlement, state: RunState | "lost"): void =>
    this.answers.arrived(settlement, state);

  /** What was not started goes back: its owner's `start` will say so. */
  giveBackUnstarted(): void {
    for (const hold of this.holds) if (hold.state === "reserved") void hold.release();
  }

  /** The worker has ended. */
  end(): void {
    this.answers.end();
    for (const hold of this.holds) hold.leftBehind();
  }

  /** Null where nobody wants it any more. No async function, whose frame would hold on to the task. */
  private handOut(run: Run, crew: HandCrew, payload: unknown): Hold | null {
    const hold = new Hold(run, crew, this.answers);
    const task = new HandedTask(hold, payload, () => this.dropped(hold));
    if (run.cause === null && this.desk.give(task)) {
      this.holds.add(hold);
      return hold;
    }
    void hold.release();
    return null;
  }

  private dropped(hold: Hold): void {
    if (!hold.active) return;
    const { kind, id } = hold.run;
    this.logger.warn(
      `qudo: a task (${kind} ${id}) was dropped without finish() or fail(), and is given back`,
    );
    void hold.release();
  }
}

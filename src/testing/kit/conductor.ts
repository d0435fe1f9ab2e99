/**
 * A stage on which chance decides what happens next: which call to the database is made, which answer arrives, which timer fires, when time
 * passes, who dies, who stands still, whose answer is lost. The same seed decides the same way, to the last event.
 */
import type { AnyJobDefinition, JobContext } from "../../core/job.js";
import type { NewJob, Trip, TripOutcome } from "../../storage/driver.js";
import { DatabaseError, QudoError } from "../../core/errors.js";
import { chanceOf } from "./chance.js";
import type { Call, Process } from "./process.js";
import { CommonStage } from "./stage.js";
import { Timeline, type Owner } from "./timeline.js";

interface Event {
  readonly process: Process;
  readonly what: string;
  readonly act: () => void;
  /** Of an answer: what happens when it never comes. */
  readonly lose?: () => void;
}

/** The real one, whatever a test does to the globals. */
const { setImmediate: realImmediate } = globalThis;

/** All orders of one seed begin at this moment: 2030-01-01. */
const START_MS = 1_893_456_000_000;
/** How often time passes though something could happen: slow statements, late answers. */
const SLOW = 0.05;
const EVENTS = 50_000;
/** What a failure shows of what happened. */
const SHOWN = 40;
/** Whose timers always fire. */
const NOBODY: Owner = { life: "alive" };

export class Conductor extends CommonStage {
  /** How much has happened … */
  happened = 0;
  /** … and what of it moved jobs, in words. */
  private readonly story: string[] = [];
  /** Whose turn it was last, and what it was. */
  last: Pick<Event, "process" | "what"> | null = null;
  private events: Event[] = [];
  private readonly numbers = new Map<string, number>();
  /** The play is over: what still happens does so by itself, as in any program. */
  private free = false;

  constructor(seed: number) {
    super(new Timeline(START_MS), chanceOf(seed));
  }

  soon(process: Process, act: () => void): void {
    if (this.free) realImmediate(act);
    else this.events.push({ process, what: "turn", act });
  }

  call<T>(process: Process, call: Call, perform: () => Promise<T>): Promise<T> {
    if (this.free) return perform();
    return new Promise((resolve, reject) => {
      const arrives = (what: string, act: () => void): void =>
        void this.events.push({
          process,
          what: `${call.operation} ${what}`,
          act,
          lose: () => reject(lostAnswer(call)),
        });
      const made = async (): Promise<void> => {
        try {
          const answer = await perform();
          const { changes } = this.ledger;
          await this.done(process, call, answer);
          if (this.ledger.changes > changes) this.tell(process, this.describe(call, answer));
          arrives("is answered", () => resolve(answer));
        } catch (error) {
          arrives("fails", () => reject(error));
        }
      };
      this.events.push({ process, what: call.operation, act: () => void made() });
    });
  }

  /**
   * Until this is so, asked whenever nothing can happen without time passing; `between` is called before each event.
   * @throws QudoError QUDO_TEST_STUCK when it never is.
   */
  async play(isOver: () => Promise<boolean>, between: () => Promise<void>): Promise<void> {
    for (let n = 0; n < EVENTS; n++) {
      await between();
      const passes = this.chance() < SLOW && this.pass();
      const event = passes ? undefined : this.take();
      if (event !== undefined) this.happens(event);
      else if (!passes) {
        if (await isOver()) return;
        if (!this.pass()) throw stuck("Nothing can happen any more, and it is not over");
      }
      // All that follows from it in this turn.
      await new Promise((resolve) => realImmediate(resolve));
    }
    throw stuck(
      `After ${EVENTS} events it is not over: the scenario waits, or jobs have not ended`,
    );
  }

  /** From now on nobody conducts. */
  release(): void {
    this.free = true;
    for (const { act } of this.events.splice(0)) realImmediate(act);
  }

  /** So many milliseconds later, whoever lives by then. */
  in(ms: number, act: () => void): void {
    this.timeline.set(NOBODY, act, ms);
  }

  /** Loses an answer that is on its way to this one: whether it was done, it does not know. False when there is none. */
  loseAnswer(to: Process): boolean {
    const i = this.events.findIndex(({ process, lose }) => lose !== undefined && process === to);
    const answer = this.events[i];
    if (answer?.lose === undefined) return false;
    this.tell(to, `never hears the answer of ${answer.what.replace(/ .*/, "")}`);
    this.events[i] = { ...answer, act: answer.lose };
    return true;
  }

  tell(process: Process, what: string): void {
    this.story.push(`${(this.timeline.now / 1_000).toFixed(3)} s  ${process.name}: ${what}`);
  }

  /** The last of what has happened. */
  get ending(): string {
    return this.story.slice(-SHOWN).join("\n");
  }

  override async handle(
    process: Process,
    definition: AnyJobDefinition,
    payload: unknown,
    job: JobContext,
  ): Promise<unknown> {
    const run = `${this.numberOf(job.id)}, run ${job.run}`;
    this.tell(process, `starts ${run}`);
    const handled = super.handle(process, definition, payload, job);
    const ended = (): void => this.tell(process, `its handler of ${run} ends`);
    handled.then(ended, ended);
    return handled;
  }

  /** In the order in which they were first heard of: ids are others in each run. */
  private numberOf(job: string): string {
    const number = this.numbers.get(job) ?? this.numbers.size + 1;
    this.numbers.set(job, number);
    return `job ${number}`;
  }

  private describe({ operation, args }: Call, answer: unknown): string {
    if (operation === "insertJobs")
      return `enqueues ${(args[0] as NewJob[]).map(({ id }) => this.numberOf(id)).join(", ")}`;
    if (operation !== "trip") return operation;
    const { settle } = args[0] as Trip;
    const { claimed, settled } = answer as TripOutcome;
    const ends = settle.flatMap(({ settlements }, i) =>
      settlements.map(({ job, state }, j) => `${this.numberOf(job)} ${state} (${settled[i]?.[j]})`),
    );
    const claims = claimed.map(({ job }) => `claims ${this.numberOf(job)}`);
    return [...ends, ...claims].join(", ");
  }

  private happens({ process, what, act }: Event): void {
    this.happened++;
    this.last = { process, what };
    process.live(act);
  }

  /** Turns of one process come in their order, everything else in any. */
  private take(): Event | undefined {
    this.events = this.events.filter(({ process }) => process.life !== "dead");
    const possible = this.events.filter(isPossible);
    const chosen = possible[Math.floor(this.chance() * possible.length)];
    if (chosen === undefined) return undefined;
    const first =
      chosen.what === "turn"
        ? possible.find(({ process, what }) => process === chosen.process && what === "turn")!
        : chosen;
    this.events.splice(this.events.indexOf(first), 1);
    return first;
  }

  /** Time goes on to the next timer; those that are due by then may fire in any order. */
  private pass(): boolean {
    const { timeline } = this;
    const at = timeline.nextAt;
    if (at === null) return false;
    timeline.moveTo(Math.max(timeline.now, at));
    for (const { owner, fire } of timeline.takeDue())
      if (owner === NOBODY) fire();
      else this.events.push({ process: owner as Process, what: "timer", act: fire });
    return true;
  }
}

const isPossible = ({ process }: Event): boolean => process.life === "alive";

const lostAnswer = ({ operation }: Call): DatabaseError =>
  new DatabaseError(
    "QUDO_DATABASE_FAILED",
    `The connection was lost before ${operation} was answered.`,
    true,
    { happened: "perhaps" },
  );

const stuck = (what: string): QudoError => new QudoError("QUDO_TEST_STUCK", `${what}.`);

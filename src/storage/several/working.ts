/**
 * Working on several databases through one driver: whatever concerns a session goes to all of them, and each answers for what it knows.
 * Workers that mind their speed hold each database by itself (`Driver.parts`); here a slow one holds up the others.
 */
import { askAll, askEach, noneAnswers } from "../../core/ask.js";
import { DatabaseError, SessionLostError, type Unasked } from "../../core/errors.js";
import type {
  ClaimedJob,
  ClaimRequest,
  Driver,
  Heartbeat,
  HeartbeatOutcome,
  HeldRun,
  Part,
  ReapOutcome,
  Replacement,
  RunKey,
  SettleOutcome,
  Trip,
  TripOutcome,
  Want,
} from "../driver.js";

type Working = Pick<
  Driver,
  | "openSession"
  | "heartbeat"
  | "closeSession"
  | "keepAlive"
  | "reap"
  | "trip"
  | "markStarted"
  | "release"
  | "report"
>;

/** In which order a claim asks the databases. */
export type Turns = (lease: string, parts: readonly Part[]) => readonly Part[];

/** Another one is the first from claim to claim, and the same one when the claim is sent again. */
export const byLease: Turns = (lease, parts) => {
  const first = Number.parseInt(lease.slice(-8), 16) % parts.length;
  return [...parts.slice(first), ...parts.slice(0, first)];
};

export function working(parts: readonly Part[], turns: Turns): Working {
  const beatAll = (beat: Heartbeat): Promise<HeartbeatOutcome> => heartbeat(parts, beat);
  return {
    async openSession(session) {
      // In one that is out it is not open: nothing is claimed there under its name.
      await askAll(parts, ({ driver }) => driver.openSession(session));
    },
    heartbeat: beatAll,
    closeSession: (session) => closeSession(parts, session),
    async keepAlive(session, times) {
      await askAll(parts, async ({ driver }) => driver.keepAlive?.(session, times));
    },
    async reap(dead) {
      const { answers } = await askAll(parts, ({ driver }) => driver.reap(dead));
      return dead.map((_, i) => answers.map(({ said }) => said[i]!).reduce(reapedOf));
    },
    trip: (trip) => new CompoundTrip(parts, turns, trip).make(),
    async markStarted(runs) {
      return anyOf(parts, runs, (driver) => markStarted(driver, runs));
    },
    async report(reports) {
      return anyOf(parts, reports, (driver) => driver.report(reports));
    },
    async release(session, leases) {
      const asked = await askEach(parts, ({ driver }) => driver.release(session, leases));
      // Sent again it gives back what is left.
      if (asked.errors.length > 0) throw asked.errors[0]!;
      return asked.answers.reduce((sum, { said }) => sum + said, 0);
    },
  };
}

async function heartbeat(parts: readonly Part[], beat: Heartbeat): Promise<HeartbeatOutcome> {
  const { answers } = await askAll(parts, ({ driver }) => driver.heartbeat(beat));
  const alive = answers.filter(({ said }) => said.alive);
  if (alive.length === 0) return { alive: false, leases: [], fenced: [] };
  const dead = answers.filter(({ said }) => !said.alive).map(({ part }) => part);
  const told = alive.flatMap(({ said }) => said.fenced);
  return {
    alive: true,
    leases: [...new Set(alive.flatMap(({ said }) => said.leases))],
    fenced: distinct([...told, ...(await runsIn(dead, beat.running))]),
  };
}

/** Only those that are in this database: a lease of this name may be there without listing the others, and they would be shown there. */
async function markStarted(driver: Driver, runs: readonly HeldRun[]): Promise<boolean[]> {
  const endings = await driver.endings(runs.map(({ job }) => job));
  const own = runs.filter((_, i) => endings[i]!.status !== "absent");
  const started = own.length === 0 ? [] : await driver.markStarted(own);
  const outcomes = new Map(own.map((run, i) => [run, started[i]!]));
  return runs.map((run) => outcomes.get(run) ?? false);
}

/** Where the session was ended by others, all that it held is theirs. */
async function runsIn(dead: readonly Part[], running: readonly RunKey[]): Promise<RunKey[]> {
  if (dead.length === 0 || running.length === 0) return [];
  const ids = running.map(({ job }) => job);
  const { answers } = await askEach(dead, ({ driver }) => driver.getJobs(ids));
  return running.filter((_, i) => answers.some(({ said }) => said[i] !== null));
}

const keyOf = ({ job, run }: RunKey): string => `${job}/${run}`;

function distinct(runs: readonly RunKey[]): RunKey[] {
  return [...new Map(runs.map(({ job, run }) => [keyOf({ job, run }), { job, run }])).values()];
}

/** "No" may mean that it was never open there. */
async function closeSession(parts: readonly Part[], session: string): Promise<boolean> {
  const { answers } = await askAll(parts, ({ driver }) => driver.closeSession(session));
  if (!answers.some(({ said }) => said)) return false;
  const refused = answers.filter(({ said }) => !said).map(({ part }) => part);
  const left = await askEach(refused, ({ driver }) => driver.sessions());
  return !left.answers.some(({ said }) => said.some(({ id }) => id === session));
}

const REAPED: readonly ReapOutcome["status"][] = ["absent", "alive", "reaped"];

/** What was ended in any of them is ended, with what was decided in all. */
function reapedOf(a: ReapOutcome, b: ReapOutcome): ReapOutcome {
  if (a.status === "reaped" && b.status === "reaped") {
    const decided = { ...a.decided };
    for (const [state, n] of Object.entries(b.decided) as [keyof typeof decided, number][])
      decided[state] = (decided[state] ?? 0) + n;
    return { status: "reaped", decided };
  }
  return REAPED.indexOf(b.status) > REAPED.indexOf(a.status) ? b : a;
}

/**
 * True where any of them says so. @throws DatabaseError where one could not be asked that may know better.
 */
async function anyOf(
  parts: readonly Part[],
  items: readonly unknown[],
  ask: (driver: Driver) => Promise<boolean[]>,
): Promise<boolean[]> {
  const asked = await askEach(parts, ({ driver }) => ask(driver));
  const found = items.map((_, i) => asked.answers.some(({ said }) => said[i] === true));
  if (found.includes(false) && asked.errors.length > 0) throw asked.errors[0]!;
  return found;
}

/**
 * A trip through all of them, one after the other, because each is asked only for what those before it had not. They are asked in an
 * order that the lease's id decides: it differs from claim to claim, and a claim that is sent again finds what it took.
 */
class CompoundTrip {
  private readonly order: readonly Part[];
  private readonly settled: SettleOutcome[][];
  private readonly replaced = new Map<string, Replacement>();
  private readonly claimed: ClaimedJob[] = [];
  readonly errors: DatabaseError[] = [];
  readonly unasked: Unasked[] = [];
  private readonly lost: Part[] = [];
  private wants: readonly Want[];
  private answered = 0;
  private more = false;

  constructor(
    parts: readonly Part[],
    turns: Turns,
    private readonly trip: Trip,
  ) {
    const { settle, claim } = trip;
    this.order = claim === null ? parts : turns(claim.lease, parts);
    this.settled = settle.map(({ settlements }) => settlements.map(() => "lost"));
    this.wants = claim?.wants ?? [];
  }

  async make(): Promise<TripOutcome> {
    const { settle, claim } = this.trip;
    if (settle.length === 0 && claim === null) return { settled: [], claimed: [], more: false };
    for (const part of this.order) await this.visit(part);
    if (claim !== null && this.answered === 0) {
      if (this.lost.length > 0) throw new SessionLostError(claim.session);
      throw noneAnswers(this);
    }
    // Where the session is gone nothing was written, the settlements neither: they are to be told so.
    for (const part of this.lost) if (settle.length > 0) await this.visit(part, null);
    const { settled, more } = this;
    const replaced = this.replacements();
    // It is not known whose it was.
    if (this.errors.length > 0 && settled.some((group) => group.includes("lost")))
      throw this.errors[0]!;
    const outcome = { settled, claimed: this.inOrder(), more };
    return replaced.length === 0 ? outcome : { ...outcome, replaced };
  }

  /** In the order of the settlements. */
  private replacements(): readonly Replacement[] {
    if (this.replaced.size === 0) return [];
    const runs = this.trip.settle.flatMap(({ settlements }) => settlements);
    return runs.flatMap((run) => this.replaced.get(keyOf(run)) ?? []);
  }

  /** By queue as they were asked for, and there by priority: as far as it is known here what comes first. */
  private inOrder(): ClaimedJob[] {
    const { wants = [] } = this.trip.claim ?? {};
    const place = ({ queue, kind }: ClaimedJob): number =>
      wants.findIndex((want) => want.queue === queue && want.kinds.includes(kind));
    return this.claimed.toSorted((a, b) => place(a) - place(b) || b.priority - a.priority);
  }

  private async visit(part: Part, claim: ClaimRequest | null = this.claimOf()): Promise<void> {
    const { settle } = this.trip;
    if (claim === null && settle.length === 0) return;
    try {
      this.landed(await part.driver.trip({ settle, claim }));
      this.answered++;
    } catch (error) {
      if (error instanceof SessionLostError) this.lost.push(part);
      else if (error instanceof DatabaseError) {
        this.errors.push(error);
        this.unasked.push({ database: part.name, reason: error.message });
      } else throw error;
    }
  }

  /** What is still wanted. Where nothing is, one of them is asked all the same: whether the session is there. */
  private claimOf(): ClaimRequest | null {
    const { claim } = this.trip;
    if (claim === null || this.answered === 0) return claim;
    const wants = this.wants.filter(({ limit }) => limit > 0);
    return wants.length === 0 ? null : { ...claim, wants };
  }

  private landed({ settled, replaced = [], claimed, more }: TripOutcome): void {
    for (const one of replaced) this.replaced.set(keyOf(one), one);
    settled.forEach((group, g) =>
      group.forEach((outcome, i) => {
        if (outcome === "accepted") this.settled[g]![i] = outcome;
      }),
    );
    this.claimed.push(...claimed);
    this.more ||= more;
    this.wants = this.wants.map(({ queue, kinds, limit }) => ({
      queue,
      kinds,
      limit:
        limit - claimed.filter((job) => job.queue === queue && kinds.includes(job.kind)).length,
    }));
  }
}

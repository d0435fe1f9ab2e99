/** Settling: the fence. A run ends here once, and only for the worker that still holds its lease. */
import { afterRelease } from "../../core/outcome.js";
import { isTerminal, RUN_STATES } from "../../core/states.js";
import type {
  Replacement,
  SettleGroup,
  Settlement,
  SettleOutcome,
  Trip,
  TripOutcome,
} from "../driver.js";
import { bear, type Parent } from "./children.js";
import { claim, NOTHING } from "./claim.js";
import { conclude, dropLeases } from "./conclude.js";
import type { LeaseRow, RunOfLease } from "./dialect.js";
import { write, type Engine, type Work } from "./engine.js";
import type { LaneIds } from "./enqueue.js";
import { answerTo, startOf, type Found } from "./fence.js";
import { endedBy, freeKeys } from "./keys.js";
import { keepLines, linesOf } from "./lines.js";
import { deciding, lookUp, outcomesOf, record, runKey, type Event, type Known } from "./record.js";
import { deleteRunning, leasesById } from "./running.js";
import { isIdle, look } from "./scene.js";

/** Settlements first, then the claim: what they free can be claimed at once. */
export async function trip(engine: Engine, { settle, claim: request }: Trip): Promise<TripOutcome> {
  if (settle.length === 0 && (request === null || (await isIdle(engine, request))))
    return { settled: [], claimed: [], more: false };
  const { lowWater } = engine;
  const lanes = await lanesOfChildren(engine, settle);
  const { looks, ...outcome } = await write(engine, async (work) => {
    const { settled, replaced, put } = await judge(work, settle, lanes);
    if (request === null) await put();
    // The look goes out with the writes, and behind them.
    const [, scene] =
      request === null ? [] : await Promise.all([put(), look(work, request, lowWater)]);
    const { jobs, more, looks } =
      request && scene ? await claim(work, request, scene, lowWater) : NOTHING;
    const answer = { settled, claimed: jobs, more, looks };
    return replaced.length === 0 ? answer : { ...answer, replaced };
  });
  lowWater.keep(looks);
  return outcome;
}

/** In transactions of their own, before the one that settles. */
async function lanesOfChildren(engine: Engine, groups: readonly SettleGroup[]): Promise<LaneIds> {
  const parents = groups.flatMap(({ settlements }) => settlements.filter(hasChildren));
  return parents.length === 0
    ? NO_LANES
    : engine.lanes.ids(parents.flatMap(({ children }) => children));
}

const NO_LANES: LaneIds = new Map();

interface Judgement {
  readonly settled: SettleOutcome[][];
  readonly replaced: readonly Replacement[];
  /** Writes what was judged. */
  put(): Promise<void>;
}

/** One settlement, and what the lease says of it. */
interface Claimant {
  readonly settlement: Settlement;
  readonly session: string;
  readonly key: string;
  /** Its lease is there, is this session's, and lists the run. */
  readonly held: boolean;
}

/** All groups of a trip in the same statements. */
async function judge(
  work: Work,
  groups: readonly SettleGroup[],
  lanes: LaneIds,
): Promise<Judgement> {
  if (groups.length === 0) return { settled: [], replaced: [], put: () => Promise.resolve() };
  const runs = groups.flatMap(({ settlements }) => settlements.map(runOf));
  const [leases, known] = await Promise.all([leasesOf(work, groups), lookUp(work, runs)]);
  const open = new OpenLeases(leases);
  const claimants = groups.map((group) =>
    group.settlements.map((settlement): Claimant => {
      const key = runKey(settlement.job, settlement.run);
      return { settlement, session: group.session, key, held: open.takeOut(group, key) };
    }),
  );
  const verdict = new Verdict(work, claimants.flat(), known);
  const settled = claimants.map((group) => group.map((one) => verdict.outcomeOf(one)));
  const { parents } = verdict;
  const born = parents.length === 0 ? [] : await bear(work, parents, lanes);
  const replaced = parents.map(({ settlement: { job, run } }, i) => ({
    job,
    run,
    children: born[i]!,
  }));
  const closing = await closable(work, groups, open);
  const left = closing.flatMap(({ entries }) => entries);
  const lines = await linesOf(work, verdict.said);
  const freed = [...verdict.endedHere, ...(await endedBy(work, [...verdict.endedBefore, ...left]))];
  const put = async (): Promise<void> => {
    await Promise.all([
      record(work, verdict.events, known),
      deleteRunning(work, [...verdict.givenUp, ...left]),
      freeKeys(work, freed),
      keepLines(work, lines),
      dropLeases(work, closing),
    ]);
  };
  return { settled, replaced, put };
}

/**
 * Of the leases that may be closed nobody else has a part; the others are shared with users' transactions that have completed
 * a run and are still open.
 */
async function leasesOf(work: Work, groups: readonly SettleGroup[]): Promise<LeaseRow[]> {
  const ids = (close: boolean): string[] =>
    groups.filter((group) => group.close === close).map(({ lease }) => lease);
  const rows = await Promise.all([
    leasesById(work, ids(false), "share"),
    leasesById(work, ids(true), "update"),
  ]);
  return rows.flat();
}

/** What the leases of a trip list, less what it settles. */
class OpenLeases {
  private readonly leases: ReadonlyMap<string, { worker: string; open: Map<string, RunOfLease> }>;

  constructor(rows: readonly LeaseRow[]) {
    this.leases = new Map(
      rows.map(({ id, worker, entries }) => [
        id,
        { worker, open: new Map(entries.map((run) => [runKey(run.id, run.run), run])) },
      ]),
    );
  }

  /** False when the lease is not this session's (any more), or does not list the run: it cannot be settled through it. */
  takeOut(group: SettleGroup, key: string): boolean {
    return this.of(group)?.delete(key) ?? false;
  }

  of({ lease, session }: SettleGroup): Map<string, RunOfLease> | undefined {
    const known = this.leases.get(lease);
    return known?.worker === session ? known.open : undefined;
  }
}

/** What becomes of the settlements of a trip. */
class Verdict {
  readonly events: Event[];
  readonly givenUp: RunOfLease[];
  private readonly accepted: ReadonlyMap<Claimant, boolean>;
  /** Runs that this very trip has settled once already. */
  private readonly settled = new Map<string, Found & { session: string }>();

  constructor(
    work: Work,
    private readonly all: readonly Claimant[],
    private readonly known: Known,
  ) {
    const held = all.filter((one) => one.held);
    this.events = held.map((one) => eventOf(one, work.now));
    this.givenUp = held.map(({ settlement }) => runOf(settlement));
    const mine = deciding(this.events, known);
    this.accepted = new Map(held.map((one, i) => [one, mine[i]!]));
    for (const { settlement, session, key } of held.filter((one) => this.accepted.get(one)))
      this.settled.set(key, { state: RUN_STATES[settlement.state], own: true, session });
  }

  outcomeOf(one: Claimant): SettleOutcome {
    return this.accepted.get(one) === true ? "accepted" : this.answer(one).outcome;
  }

  /** Those that were accepted and leave children, in order. */
  get parents(): readonly Parent[] {
    const parents: Parent[] = [];
    for (const one of this.all) {
      const { settlement } = one;
      if (hasChildren(settlement) && this.outcomeOf(one) === "accepted")
        parents.push({ settlement, fresh: this.accepted.get(one) === true });
    }
    return parents;
  }

  /** Lines are kept also where the run is lost. */
  get said() {
    return this.all.map(({ settlement, held }) => ({
      ...runOf(settlement),
      lines: settlement.lines ?? [],
      held,
    }));
  }

  /** Jobs with unique keys that this trip ends. */
  get endedHere(): string[] {
    return this.all
      .filter((one) => this.accepted.get(one) && isTerminal(one.settlement.state))
      .filter((one) => this.isKeyed(one))
      .map(({ settlement }) => settlement.job);
  }

  /** Held runs with unique keys that had been decided before, and ended their jobs. A lease that is gone took its keys with it. */
  get endedBefore(): RunOfLease[] {
    return this.all
      .filter((one) => one.held && !this.accepted.get(one) && this.isKeyed(one))
      .filter((one) => this.answer(one).freesKey)
      .map(({ settlement }) => runOf(settlement));
  }

  private isKeyed({ key }: Claimant): boolean {
    return this.known.places.get(key)?.keyed === true;
  }

  private answer({ settlement, session, key }: Claimant) {
    const before = this.known.outcomes.get(key);
    const here = this.settled.get(key);
    return answerTo(
      settlement,
      before === undefined
        ? here && { ...here, own: here.session === session }
        : { state: before.state, own: before.writer === session },
    );
  }
}

function hasChildren(settlement: Settlement): settlement is Parent["settlement"] {
  return settlement.children !== undefined;
}

function eventOf({ settlement, session }: Claimant, now: number): Event {
  const { result, error } = settlement;
  return {
    ...runOf(settlement),
    decision: settlement,
    writer: session,
    worker: session,
    startedAt: startOf(settlement, now),
    result,
    error,
  };
}

/**
 * Leases that go with this trip; `entries` are the runs that others decided and its worker never settled. One with something
 * undecided in it stays, whatever its worker says: that job would stand nowhere.
 */
async function closable(
  work: Work,
  groups: readonly SettleGroup[],
  leases: OpenLeases,
): Promise<{ id: string; entries: RunOfLease[] }[]> {
  const asked = new Map(
    groups.filter(({ close }) => close).map((group) => [group.lease, leases.of(group)]),
  );
  const closing = [...asked].flatMap(([id, open]) =>
    open === undefined ? [] : [{ id, entries: [...open.values()] }],
  );
  const outcomes = await outcomesOf(
    work,
    closing.flatMap(({ entries }) => entries),
  );
  return closing.filter(({ entries }) =>
    entries.every(({ id, run }) => outcomes.has(runKey(id, run))),
  );
}

/** Gives back every unfinished run of these leases of this session. */
export function release(
  engine: Engine,
  session: string,
  leases: readonly string[],
): Promise<number> {
  if (leases.length === 0) return Promise.resolve(0);
  return write(engine, async (work) => {
    const rows = await leasesById(work, leases, "update");
    const own = rows.filter(({ worker }) => worker === session);
    const { released } = await conclude(work, own, afterRelease);
    return released ?? 0;
  });
}

const runOf = ({ job: id, run }: Settlement): RunOfLease => ({ id, run });

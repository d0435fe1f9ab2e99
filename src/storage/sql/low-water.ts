/**
 * How far each lane has been emptied. What a claim takes stays in ready's index as a dead entry until no snapshot can see it any
 * more: behind a long drain, or somebody's old transaction, whoever reads a lane from its beginning reads all of those again at
 * each claim. So claims begin where the last one ended, at the lane's mark.
 *
 * A mark is a guess and decides nothing. Jobs of higher priority, released ones and late commits come to lie before it. They are
 * found because lanes are read from their beginning as well, in a full look:
 * - until this process has taken 1,000 jobs of the lane: so few dead entries cost nothing,
 * - whenever a look from the mark brings less than was wanted, within the same claim,
 * - otherwise once ten times the duration of the last full look has passed since its end: they use up a tenth of the time at
 *   most. Without a heap of dead entries that is every few milliseconds.
 * What lies before a mark is thus overtaken for no longer than ten times the duration of a full look, and never while a claimer
 * could take more than it finds. Idle looks are answered from the beginning.
 *
 * In memory only, per process: another process, and one that was started anew, begins with full looks.
 */
import type { Want } from "../driver.js";
import { isWanted } from "../want.js";
import type { Place } from "./dialect.js";
import type { LaneName } from "./lanes.js";
import { inClaimOrder } from "./order.js";

/** What one claim saw of one lane. */
export interface LaneLook {
  readonly lane: LaneName & { readonly id: number };
  /** Where it began: at this mark, or at the lane's beginning. */
  readonly after: Place | undefined;
  readonly beganAt: number;
  readonly endedAt: number;
  readonly taken: number;
  /** The last one it took, in claim order. */
  readonly last: Place | undefined;
  /** All that could be taken was taken. */
  readonly toTheEnd: boolean;
}

/** A lane in which a look may begin at a mark. */
export interface MarkedLane extends LaneName {
  readonly id: number;
  readonly mark: Place;
}

/** So many dead entries are read in a millisecond. */
const WORTH = 1_000;
/** The part of the time that goes into full looks: one in this many, and one. */
const REST = 10;

interface Lane {
  readonly name: LaneName;
  taken: number;
  mark: Place | undefined;
  /** When a full look is due. */
  fullAt: number;
}

export class LowWater {
  private readonly lanes = new Map<number, Lane>();

  /** `clock`: milliseconds that only go forward, of this process. */
  constructor(readonly clock: () => number = () => performance.now()) {}

  /** Where a claim may begin to read this lane; undefined: at its beginning. */
  after(lane: number): Place | undefined {
    const known = this.lanes.get(lane);
    if (known === undefined || known.taken < WORTH || this.clock() >= known.fullAt)
      return undefined;
    return known.mark;
  }

  /** Marks in lanes of these, for looks that go on from the beginning when they find nothing behind the mark. */
  within(wants: readonly Want[]): MarkedLane[] {
    const marked: MarkedLane[] = [];
    for (const [id, { name, taken, mark }] of this.lanes) {
      const wanted = wants.some((want) => isWanted(want, name));
      if (wanted && mark !== undefined && taken >= WORTH) marked.push({ id, ...name, mark });
    }
    return marked;
  }

  /** To be called when the claim has been committed: what was rolled back lies there still. */
  keep(looks: readonly LaneLook[]): void {
    for (const look of looks) this.keepOne(look);
  }

  private keepOne({ lane, after, beganAt, endedAt, taken, last, toTheEnd }: LaneLook): void {
    const { id, queue, kind } = lane;
    const known = this.lanes.get(id) ?? {
      name: { queue, kind },
      taken: 0,
      mark: undefined,
      fullAt: 0,
    };
    this.lanes.set(id, known);
    known.taken += taken;
    if (after === undefined) {
      known.fullAt = endedAt + REST * (endedAt - beganAt);
      // More may lie behind the last one, and yet before the mark: then the mark goes back.
      known.mark = toTheEnd ? later(known.mark, last) : (last ?? known.mark);
    } else if (known.mark === after) {
      // Otherwise another claim has moved it meanwhile, perhaps back.
      known.mark = last ?? after;
    }
  }
}

function later(a: Place | undefined, b: Place | undefined): Place | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return inClaimOrder(a, b) < 0 ? b : a;
}

/**
 * The places of one queue in one process: so many of its handlers run at once, from however many databases. With one database
 * there is nothing to share, and what stands here about others never happens.
 *
 * A place that gets free goes round the databases that hold jobs. Where handlers are quick each of them holds its share of about
 * 50 ms of work, so that there always is one to go round to. Where they are slow nothing is held: the free places are
 * shared out between those that may have jobs, so that all come to have as many, and are kept free for one that has been asked; but no
 * longer than a database in good health takes to answer, so that a slow one, or a dead one, keeps no place empty.
 */
import { DEFAULTS } from "../core/defaults.js";
import type { Cancel, Time } from "../core/time.js";

/** Weight of the newest duration in the running mean. */
const NEWEST = 0.1;
/** So long places are kept free for a database that was asked for jobs, or is about to be. One that takes longer is not prompt. */
export const PROMPT_MS = 50;

/** What one database has of the queue. */
export interface Seat {
  /** Claimed and not started. */
  readonly held: number;
  readonly running: number;
  /** Jobs asked for of which nothing is known yet. */
  readonly asking: number;
  /** Its database answers promptly. */
  readonly prompt: boolean;
  /** It may claim, and there may be jobs. */
  readonly eager: boolean;
  /** Its worker is about to begin. */
  readonly opening: boolean;
  /** Starts one that it holds, if it may. */
  startOne(): boolean;
  /** There may be places: look whether to ask for jobs. */
  look(): void;
}

export class Places {
  protected seats: readonly Seat[] = [];
  /** Jobs that were started and have not returned. */
  protected taken = 0;
  /** Who started a job last: those after it come first. */
  private last: Seat | undefined;
  private meanMs: number | null = null;
  private cancelLook: Cancel | null = null;

  /** `most`: so many jobs are asked for at once, and held. */
  constructor(
    private readonly size: number,
    private readonly time: Time,
    readonly most: number = DEFAULTS.claimLimit,
  ) {}

  get total(): number {
    return this.size;
  }

  join(seat: Seat): void {
    this.seats = [...this.seats, seat];
  }

  leave(seat: Seat): void {
    this.seats = this.seats.filter((other) => other !== seat);
    this.lookAll();
  }

  get full(): boolean {
    return this.taken >= this.total;
  }

  took(seat: Seat): void {
    this.taken++;
    this.last = seat;
  }

  /** A handler has returned, after so many milliseconds. */
  freed(ms: number): void {
    this.taken--;
    this.meanMs = this.meanMs === null ? ms : this.meanMs + NEWEST * (ms - this.meanMs);
  }

  /** Jobs have stood behind handlers for so long. */
  stalled(ms: number): void {
    this.meanMs = Math.max(this.meanMs ?? 0, ms);
  }

  /** A place is free: whoever holds a job and comes next takes it. False when nobody does. */
  pass(): boolean {
    const { seats } = this;
    const first = this.last === undefined ? 0 : seats.indexOf(this.last) + 1;
    for (let i = 0; i < seats.length; i++)
      if (seats[(first + i) % seats.length]!.startOne()) return true;
    if (seats.length > 1) this.lookAll();
    return false;
  }

  /** A database has answered: what it left free is for the others. */
  answered(): void {
    if (this.seats.length > 1 && !this.quick && !this.full) this.lookAll();
  }

  /** Jobs worth having here: about 50 ms of work, never less than the places, so that slow handlers hoard nothing. */
  goal(seat: Seat): number {
    const { keepsBusy, total } = this;
    if (keepsBusy <= total) return total;
    const share = 1 / (1 + this.rivals(seat).length);
    return Math.ceil(Math.max(total * share, Math.min(keepsBusy * share, this.most)));
  }

  /** How many more jobs this one may ask for. */
  room(seat: Seat): number {
    if (this.seats.length > 1 && !this.quick) return this.sparePlaces(seat);
    return Math.max(0, this.goal(seat) - seat.held - seat.running);
  }

  /** Handlers are quick: places get free sooner than a database answers, and work is held for them. */
  private get quick(): boolean {
    return this.keepsBusy > this.total;
  }

  /** So many jobs are done in 50 ms. */
  private get keepsBusy(): number {
    if (this.meanMs === null) return 0;
    return (this.total * DEFAULTS.holdMs) / Math.max(this.meanMs, 0.01);
  }

  /** The others that have jobs, or may have. */
  private rivals(seat: Seat): Seat[] {
    return this.seats.filter((other) => other !== seat && (other.held > 0 || isRival(other)));
  }

  /** Its part of the places that are nobody's yet: those that have fewest are filled up first. */
  private sparePlaces(seat: Seat): number {
    const { seats, total } = this;
    const used = seats.reduce((sum, { held, running }) => sum + held + running, 0);
    const spare = Math.max(0, total - used);
    const kept = seats.reduce((sum, other) => sum + (other === seat ? 0 : keptFor(other)), 0);
    const takers = this.inTurn().filter((other) => other === seat || isRival(other));
    const loads = takers.map((one) => one.held + one.running + (one === seat ? 0 : keptFor(one)));
    const mine = levelled(spare - kept, loads)[takers.indexOf(seat)]!;
    if (mine < spare) this.lookLater();
    return mine;
  }

  /** Who started a job last comes last. */
  private inTurn(): readonly Seat[] {
    const first = this.last === undefined ? 0 : this.seats.indexOf(this.last) + 1;
    return [...this.seats.slice(first), ...this.seats.slice(0, first)];
  }

  private lookAll(): void {
    for (const seat of this.seats) seat.look();
  }

  /** Those for whom places are kept free have taken them by then, or are not prompt. */
  private lookLater(): void {
    this.cancelLook ??= this.time.aside(() => {
      this.cancelLook = null;
      this.lookAll();
    }, PROMPT_MS);
  }
}

/** Jobs may come from it soon, for which there should be places. */
const isRival = ({ prompt, eager, asking }: Seat): boolean => prompt && (eager || asking > 0);

const keptFor = ({ prompt, asking }: Seat): number => (prompt ? asking : 0);

/** How many of `free` each is given, so that all come to the same level as far as that goes. Odd ones go to the first. */
export function levelled(free: number, loads: readonly number[]): number[] {
  const sorted = loads.toSorted((one, other) => one - other);
  let sum = Math.max(0, free);
  let low = 0;
  // Those above the level that the lower ones come to are given nothing.
  while (low < sorted.length && (low === 0 || sorted[low]! * low < sum)) sum += sorted[low++]!;
  const level = Math.floor(sum / low);
  let odd = sum - level * low;
  const highest = sorted[low - 1]!;
  return loads.map((load) => {
    if (load > highest || load > level) return 0;
    const more = odd > 0 ? 1 : 0;
    odd -= more;
    return level - load + more;
  });
}

/** The places of a queue that is consumed by hand: as many as tasks are out and wanted. Nothing is claimed that nobody waits for. */
import type { Time } from "../../core/time.js";
import { Places } from "../places.js";

export class Demand extends Places {
  /** Tasks that are waited for. */
  wanted = 0;
  /** Tasks in their owners' hands. */
  out = 0;

  /** `onChange` is called when a place was given up, or a database has answered. */
  constructor(
    private readonly onChange: () => void,
    time: Time,
  ) {
    super(0, time);
  }

  override get total(): number {
    return this.out + this.wanted;
  }

  /** Claimed, and on their way into somebody's hands. */
  get preparing(): number {
    return this.taken - this.out;
  }

  /** Some database has not said yet whether it has anything, or what it gave has not been handed out. */
  get looking(): boolean {
    const { seats, preparing } = this;
    if (seats.length === 0 || preparing > 0) return true;
    return seats.some(({ opening, eager, asking, held }) => opening || eager || asking + held > 0);
  }

  /** How long a task was out says nothing of how many are wanted. */
  override freed(): void {
    this.taken--;
    this.onChange();
  }

  override stalled(): void {}

  override answered(): void {
    super.answered();
    this.onChange();
  }
}

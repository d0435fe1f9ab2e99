/**
 * How often an idle worker looks. Where its database calls it, seldom: looking stands only behind the calls. Where nothing calls,
 * soon after there was work, because work comes in company, and then less and less often.
 */
import { DEFAULTS } from "../core/defaults.js";

/** The factor from one look that found nothing to the next. */
const GROWTH = 1.5;

export class Pace {
  /** Milliseconds between two looks. */
  ms: number;

  /** `called`: the database tells of others' writes. */
  constructor(private readonly called: boolean) {
    this.ms = called ? DEFAULTS.pollMs : DEFAULTS.pollSoonestMs;
  }

  /** What a look found: jobs, or none. */
  found(jobs: number): void {
    if (this.called) return;
    this.ms = jobs > 0 ? DEFAULTS.pollSoonestMs : Math.min(this.ms * GROWTH, DEFAULTS.pollMs);
  }
}

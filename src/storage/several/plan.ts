/** Several databases as they were given: checked, and none of them opened yet. */
import type { Placement } from "../database.js";
import type { DatabaseMode, Driver } from "../driver.js";

/** One of them. */
export interface PartPlan {
  readonly name: string;
  /** Engine and place, never a password. */
  readonly label: string;
  readonly weight: number;
  /** As configured; the database itself may be stricter. */
  readonly mode: DatabaseMode;
  /** Opens it, and makes no tables. May be called again after it failed, or after what it gave was closed. */
  open(): Promise<Driver>;
}

export interface SeveralPlan {
  /** At least one, no two with one name or one address. */
  readonly parts: readonly PartPlan[];
  readonly placement: Placement;
  /** How long one that is out is left in peace, in milliseconds. */
  readonly retryMs: number;
}

/** Who waits for the database's word on a settlement. */
import type { RunState } from "../../core/states.js";
import type { Settlement } from "../../storage/driver.js";

export class Answers {
  private readonly waiting = new Map<Settlement, (state: RunState | "lost") => void>();

  /** To be asked for before it is sent. */
  to(settlement: Settlement): Promise<RunState | "lost"> {
    return new Promise((resolve) => this.waiting.set(settlement, resolve));
  }

  /** It has answered. */
  arrived(settlement: Settlement, state: RunState | "lost"): void {
    this.waiting.get(settlement)?.(state);
    this.waiting.delete(settlement);
  }

  /** There will be no answer. */
  end(): void {
    for (const resolve of this.waiting.values()) resolve("lost");
    this.waiting.clear();
  }
}

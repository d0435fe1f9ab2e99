/** Which of several databases could not be asked, gathered over the many questions that make one answer. */
import { complete, incompleteToo } from "../core/ask.js";

export class Gaps {
  /** Reasons by name. The first one of each tells most. */
  private readonly reasons = new Map<string, string>();

  /** What was found; where some could not be asked, that is remembered. */
  async passing<Found>(answer: Promise<Found>): Promise<Found> {
    const { found, unasked } = await incompleteToo(answer);
    for (const { database, reason } of unasked)
      if (!this.reasons.has(database)) this.reasons.set(database, reason);
    return found;
  }

  /** The answer as a whole. @throws IncompleteError that holds it, where some could not be asked. */
  complete<Found>(found: Found): Found {
    const unasked = Array.from(this.reasons, ([database, reason]) => ({ database, reason }));
    return complete(unasked, found);
  }
}

/** What some of several databases could not be asked: told once at the end, beside what was found in the others. */
import { IncompleteError, type Unasked } from "../core/errors.js";
import { EXIT, type ExitCode } from "./exit.js";
import { painter, say } from "./output.js";
import { safe } from "./text.js";

export class Gaps {
  private readonly reasons = new Map<string, string>();

  /** What was found, be it all or not. */
  async of<Found>(answer: Promise<Found>): Promise<Found> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof IncompleteError)) throw error;
      this.note(error.unasked);
      return error.found as Found;
    }
  }

  /** The same for what comes one by one. */
  async *each<Row>(rows: AsyncIterable<Row>): AsyncGenerator<Row> {
    try {
      yield* rows;
    } catch (error) {
      if (!(error instanceof IncompleteError)) throw error;
      this.note(error.unasked);
    }
  }

  note(unasked: readonly Unasked[]): void {
    for (const { database, reason } of unasked)
      if (!this.reasons.has(database)) this.reasons.set(database, reason);
  }

  /** For --json: a field that is there only where something is missing. */
  get json(): { unasked?: readonly Unasked[] } {
    if (this.reasons.size === 0) return {};
    return { unasked: Array.from(this.reasons, ([database, reason]) => ({ database, reason })) };
  }

  /** One line on stderr for each database. What is not all is a failure. */
  tell(code: ExitCode = EXIT.ok): ExitCode {
    const paint = painter(process.stderr);
    for (const [database, reason] of this.reasons)
      say(`${paint.yellow("warning:")} ${database} could not be asked: ${safe(reason)}`);
    return this.reasons.size > 0 && code === EXIT.ok ? EXIT.failed : code;
  }
}

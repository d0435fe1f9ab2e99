/** What others' code does wrong where it stops nothing: said as warnings of the process, but not thirty thousand times a second. */
import type { Time } from "../core/time.js";
export class Complaints {
  private readonly saidAt = new Map<string, number>();

  constructor(private readonly time: Time) {}

  /** At most once in 30 s about the same. */
  say(about: string, error: unknown): void {
    const now = this.time.now();
    if (now - (this.saidAt.get(about) ?? Number.NEGATIVE_INFINITY) < ONE_PER_MS) return;
    if (this.saidAt.size >= MOST) this.saidAt.clear();
    this.saidAt.set(about, now);
    process.emitWarning(`${about} failed: ${textOf(error)}`, "QudoWarning");
  }
}

const ONE_PER_MS = 30_000;
/** Names of hooks are others': they must not fill the memory. */
const MOST = 1_000;

function textOf(error: unknown): string {
  try {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  } catch {
    return "an error that cannot be shown";
  }
}

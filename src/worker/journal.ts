/** What one handler says while it runs: log lines and progress, kept here until the database has them. */
import { encodeLine, encodeProgress, type Mask } from "../core/codec.js";
import { LIMITS } from "../core/defaults.js";
import { InvalidInputError } from "../core/errors.js";
import { show } from "../core/options.js";
import { LOG_LEVELS, type LogLevel } from "../core/states.js";
import type { Time } from "../core/time.js";
import type { LogLine } from "../storage/driver.js";

interface Line {
  readonly seq: number;
  /** Monotonic milliseconds. */
  readonly at: number;
  readonly level: LogLevel;
  readonly text: string;
}

/** What a report carries of it. */
export interface News {
  readonly progress: string | null;
  readonly lines: readonly LogLine[];
}

export class Journal {
  private lines: Line[] = [];
  private written = 0;
  private progress: string | null = null;

  /** `mask` hides the secrets of the job's payload in a text. */
  constructor(
    private readonly mask: Mask,
    private readonly time: Time,
  ) {}

  /** @throws InvalidInputError for a level that does not exist. */
  log(message: unknown, level: LogLevel): void {
    checkLevel(level);
    if (this.written >= LIMITS.logLines) return;
    const seq = ++this.written;
    const at = this.time.now();
    if (seq < LIMITS.logLines)
      this.lines.push({ seq, at, level, text: encodeLine(message, this.mask) });
    else
      this.lines.push({
        seq,
        at,
        level: "warn",
        text: `A run keeps ${LIMITS.logLines} lines: this one's further lines are dropped.`,
      });
  }

  /** @throws InvalidInputError for what JSON cannot carry, or more than 4 KiB of it. */
  say(progress: unknown): void {
    this.progress = encodeProgress(progress);
  }

  /** What there is to report, with at most about so many bytes of lines. */
  news(bytes: number): News {
    let room = bytes;
    const fit = this.lines.findIndex(({ text }) => (room -= Buffer.byteLength(text)) < 0);
    // The first one always, or a long one would never go.
    const lines = fit < 0 ? this.lines : this.lines.slice(0, Math.max(1, fit));
    return { progress: this.progress, lines: this.linesAt(lines) };
  }

  /** These news have arrived. */
  arrived({ progress, lines }: News): void {
    // What was said meanwhile goes next time. The same text once more is no news.
    if (this.progress === progress) this.progress = null;
    const last = lines.at(-1)?.seq ?? 0;
    this.lines = this.lines.filter(({ seq }) => seq > last);
  }

  /** All lines that no report has carried, for the settlement; undefined for none. */
  rest(): readonly LogLine[] | undefined {
    return this.lines.length === 0 ? undefined : this.linesAt(this.lines);
  }

  private linesAt(lines: readonly Line[]): LogLine[] {
    const now = this.time.now();
    return lines.map(({ seq, at, level, text }) => ({ seq, agoMs: now - at, level, text }));
  }
}

/** @throws InvalidInputError for a level that does not exist. */
export function checkLevel(level: LogLevel): LogLevel {
  if (Object.hasOwn(LOG_LEVELS, level)) return level;
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `There is no level ${show(level)}. There are: ${Object.keys(LOG_LEVELS).join(", ")}.`,
  );
}

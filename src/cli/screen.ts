/**
 * A view that lasts: on a terminal each picture takes the place of the one before, and only lines that changed are written; into a
 * pipe pictures follow one another. The terminal is given back as it was.
 */

/** What a view is drawn on. */
export interface Screen extends Disposable {
  draw(lines: readonly string[]): void;
  /** What it shows is not known any more: its size has changed. The next picture is drawn anew. */
  forget(): void;
}

/** Where it is drawn: process.stdout, or what a test gives. */
export interface Output {
  readonly isTTY?: boolean;
  readonly rows?: number;
  write(text: string): unknown;
}

export function openScreen(output: Output = process.stdout): Screen {
  return output.isTTY === true ? new Terminal(output) : new Pipe(output);
}

const ESC = "\u001B[";
/** The other screen, without a cursor, where lines that are too long end at its edge. */
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l${ESC}H${ESC}J`;
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`;
/** What stands between these appears at once, in terminals that know it; others pass over it. */
const BEGIN = `${ESC}?2026h`;
const END = `${ESC}?2026l`;

class Terminal implements Screen {
  private shown: readonly string[] = [];
  private height = 0;

  constructor(private readonly output: Output) {
    output.write(ENTER);
  }

  draw(lines: readonly string[]): void {
    const { output } = this;
    const height = output.rows ?? 24;
    // After a change of its size nothing is known of what it shows.
    const before = height === this.height ? this.shown : [];
    const clear = height === this.height ? "" : `${ESC}H${ESC}J`;
    const now = fitting(lines, height);
    const changed = now.flatMap((line, i) => (line === before[i] ? [] : [at(i, line)]));
    const gone = before.length > now.length ? `${ESC}${now.length + 1};1H${ESC}J` : "";
    this.shown = now;
    this.height = height;
    const text = clear + changed.join("") + gone;
    if (text !== "") output.write(BEGIN + text + END);
  }

  forget(): void {
    this.height = 0;
  }

  [Symbol.dispose](): void {
    this.output.write(LEAVE);
  }
}

const at = (row: number, line: string): string => `${ESC}${row + 1};1H${line}${ESC}K`;

function fitting(lines: readonly string[], height: number): readonly string[] {
  if (lines.length <= height) return lines;
  const shown = lines.slice(0, Math.max(0, height - 1));
  return [...shown, `… ${lines.length - shown.length} more lines`];
}

class Pipe implements Screen {
  private first = true;

  constructor(private readonly output: Output) {}

  draw(lines: readonly string[]): void {
    this.output.write(`${this.first ? "" : "\n"}${lines.join("\n")}\n`);
    this.first = false;
  }

  forget(): void {
    // What was written stays.
  }

  [Symbol.dispose](): void {
    // The same.
  }
}

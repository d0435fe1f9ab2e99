/** Text for people: tables that fit the terminal, colours where they are wanted, and JSON for programs. */

const COLOURS = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
} as const;

export type Paint = (text: string) => string;
export type Painter = Readonly<Record<keyof typeof COLOURS, Paint>>;

/** Colours for a terminal that takes them (https://no-color.org); elsewhere the text comes back as it is. */
export function painter(stream: { isTTY?: boolean }): Painter {
  const wanted = stream.isTTY === true && !process.env.NO_COLOR;
  const paints = Object.entries(COLOURS).map(([name, [on, off]]): [string, Paint] => [
    name,
    wanted ? (text) => `\u001B[${on}m${text}\u001B[${off}m` : (text) => text,
  ]);
  return Object.fromEntries(paints) as Painter;
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** To stderr: what is no result. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}

/** `qudo status | head` closes our stdout early: nothing to complain about. */
export function ignoreClosedPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

/** "1 job", "2 jobs". */
export function plural(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string | number;
  /** For a cell that should stand out or step back. */
  readonly paint?: (row: Row) => Paint | undefined;
}

interface Laid<Row> extends Column<Row> {
  readonly cells: readonly string[];
  /** Figures stand to the right and are never cut. */
  readonly figures: boolean;
  width: number;
}

const GAP = "  ";
const NARROWEST = 6;

/** Lines of a table no wider than `width`, where that can be: long texts are cut, all-zero columns left out. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { width = Number.POSITIVE_INFINITY, title = (text) => text }: { width?: number; title?: Paint },
): string[] {
  const laid = fit(
    columns.map((column) => lay(column, rows)),
    width,
  );
  const line = (text: (column: Laid<Row>) => string): string => laid.map(text).join(GAP).trimEnd();
  return [
    title(line((column) => pad(column, column.title))),
    ...rows.map((row, i) =>
      line((column) => (column.paint?.(row) ?? plain)(pad(column, column.cells[i]!))),
    ),
  ];
}

const plain: Paint = (text) => text;

function lay<Row>(column: Column<Row>, rows: readonly Row[]): Laid<Row> {
  const values = rows.map((row) => column.cell(row));
  const cells = values.map(String);
  const width = Math.max(...[column.title, ...cells].map(length));
  return { ...column, cells, figures: values.every((v) => typeof v === "number"), width };
}

function fit<Row>(laid: Laid<Row>[], width: number): Laid<Row>[] {
  let shown = laid.filter(({ cells }) => cells.some((cell) => cell !== ""));
  const total = (): number =>
    shown.reduce((sum, column) => sum + column.width + GAP.length, -GAP.length);
  for (const column of shown.toReversed())
    if (total() > width && column.cells.every((cell) => cell === "0"))
      shown = shown.filter((other) => other !== column);
  for (let left = total() - width; left > 0; left--) {
    const texts = shown.filter((column) => !column.figures && column.width > NARROWEST);
    const widest = texts.toSorted((a, b) => b.width - a.width)[0];
    if (widest === undefined) break;
    widest.width--;
  }
  return shown;
}

function pad({ figures, width }: { figures: boolean; width: number }, text: string): string {
  const cut = length(text) > width ? `${[...text].slice(0, width - 1).join("")}…` : text;
  const space = " ".repeat(width - length(cut));
  return figures ? space + cut : cut + space;
}

/** In characters, not UTF-16 units. */
function length(text: string): number {
  return [...text].length;
}

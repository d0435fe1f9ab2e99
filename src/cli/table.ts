/** Tables that fit the terminal. Cells are made harmless here: what others wrote may stand in them as it is. */
import type { Paint } from "./output.js";
import { cut, safe, widthOf } from "./text.js";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string | number;
  /** For a cell that should stand out or step back. */
  readonly paint?: (row: Row) => Paint | undefined;
  /** Never cut, as figures are not: what is copied from it must be whole. Default false. */
  readonly whole?: boolean;
  /** Left out where not all columns have their least width: the highest number first. Default never. */
  readonly yields?: number;
  /** While others can yield it is no narrower than this. Default 6. */
  readonly least?: number;
}

interface Laid<Row> extends Column<Row> {
  readonly cells: readonly string[];
  /** Figures stand to the right and are never cut. */
  readonly figures: boolean;
  width: number;
}

const GAP = "  ";
const NARROWEST = 6;

export interface TableLook<Row> {
  /** Columns of the terminal. Default any number. */
  readonly width?: number | undefined;
  readonly title?: Paint;
  /** A line of its own below a row; none where it is empty. */
  readonly below?: (row: Row) => string;
  readonly paintBelow?: Paint;
}

/**
 * Lines of a table no wider than `width`, where that can be: columns of zeros are left out first, then those that
 * yield, then long texts are cut.
 */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  {
    width = Number.POSITIVE_INFINITY,
    title = plain,
    below = () => "",
    paintBelow = plain,
  }: TableLook<Row>,
): string[] {
  const laid = fit(
    columns.map((column) => lay(column, rows)),
    width,
  );
  const line = (text: (column: Laid<Row>) => string): string => laid.map(text).join(GAP).trimEnd();
  const lineBelow = (row: Row): string[] => {
    const text = safe(below(row));
    return text === "" ? [] : [paintBelow(GAP + cut(text, width - GAP.length))];
  };
  return [
    title(line((column) => pad(column, column.title))),
    ...rows.flatMap((row, i) => [
      line((column) => pad(column, column.cells[i]!, column.paint?.(row))),
      ...lineBelow(row),
    ]),
  ];
}

const plain: Paint = (text) => text;

function lay<Row>(column: Column<Row>, rows: readonly Row[]): Laid<Row> {
  const values = rows.map((row) => column.cell(row));
  const cells = values.map((value) => safe(String(value)));
  const width = [column.title, ...cells].reduce((most, text) => Math.max(most, widthOf(text)), 0);
  return { ...column, cells, figures: values.every((v) => typeof v === "number"), width };
}

function fit<Row>(laid: Laid<Row>[], width: number): Laid<Row>[] {
  let shown = laid.filter(({ cells }) => cells.some((cell) => cell !== ""));
  const total = (widthIn: (column: Laid<Row>) => number): number =>
    shown.reduce((sum, column) => sum + widthIn(column) + GAP.length, -GAP.length);
  const now = (column: Laid<Row>): number => column.width;
  for (const column of shown.toReversed())
    if (total(now) > width && column.cells.every((cell) => cell === "0"))
      shown = shown.filter((other) => other !== column);
  while (total(usableWidth) > width) {
    const first = shown.toSorted((a, b) => (b.yields ?? 0) - (a.yields ?? 0))[0];
    if (first?.yields === undefined) break;
    shown = shown.filter((other) => other !== first);
  }
  for (let left = total(now) - width; left > 0; left--) {
    const texts = shown.filter((column) => column.width > leastWidth(column));
    const widest = texts.toSorted((a, b) => b.width - a.width)[0];
    if (widest === undefined) break;
    widest.width--;
  }
  return shown;
}

function usableWidth<Row>(column: Laid<Row>): number {
  return Math.max(leastWidth(column), Math.min(column.width, column.least ?? NARROWEST));
}

function leastWidth<Row>({ figures, whole, width }: Laid<Row>): number {
  return figures || whole ? width : Math.min(width, NARROWEST);
}

/** The colour stays on the text, so that spaces at the end of a line can go. */
function pad(
  { figures, width }: { figures: boolean; width: number },
  text: string,
  paint: Paint = plain,
): string {
  const shown = cut(text, width);
  const space = " ".repeat(Math.max(0, width - widthOf(shown)));
  if (shown === "") return space;
  return figures ? space + paint(shown) : paint(shown) + space;
}

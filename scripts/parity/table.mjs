/**
 * docs/parity.md as data. Each row says what was promised, how it is written here, which tests prove it, and which source lines make it
 * true:
 *
 *     | Q1 | what it was | with qudo | `test/file.test.ts`: *title of a test* | `src/file.ts`: `a piece of its text` |
 *
 * Several tests, or several places in the source, stand in one cell with `<br>` between them.
 */
import { readFileSync } from "node:fs";

export const PAGE = "docs/parity.md";

/** Every item of the two older systems, in order. */
export const IDS = [
  ...Array.from({ length: 22 }, (_, i) => `Q${i + 1}`),
  ...Array.from({ length: 16 }, (_, i) => `T${i + 1}`),
];

/** Where a test counts only when it passed on each of these. */
export const ON_EACH = "test/parity/";
export const DATABASES = ["SQLite", "PostgreSQL", "MariaDB"];

/** @returns {{ id: string, was: string, here: string, tests: { file: string, title: string }[], source: { file: string, text: string }[] }[]} */
export function readTable(text = readFileSync(PAGE, "utf8")) {
  return text
    .split("\n")
    .filter((line) => /^\| [QT]\d+ \|/.test(line))
    .map((line) => {
      const [, id, was, here, tests = "", source = ""] = cellsOf(line);
      return { id, was, here, tests: named(tests, TEST), source: named(source, SOURCE) };
    });
}

/** What a "|" in a cell is written as. */
const cellsOf = (line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));

const TEST = /^`(?<file>[^`]+)`: \*(?<title>.+)\*$/;
const SOURCE = /^`(?<file>[^`]+)`: `(?<text>[^`]+)`$/;

function named(cell, form) {
  if (cell === "") return [];
  return cell.split("<br>").map((part) => {
    const { groups } = form.exec(part.trim()) ?? {};
    if (!groups) throw new Error(`${PAGE}: cannot be read: ${part}`);
    return { ...groups };
  });
}

/** Text that others wrote, made fit for a terminal: harmless, and as wide as it is there. */

/**
 * What a terminal would obey instead of showing it: control characters (escape sequences begin with one), and marks
 * that turn the direction of what follows, so that a text reads as another one.
 */
const OBEYED = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

/** One line: whatever a terminal would obey stands there as it is written in a program, "\x1b" or "\u202e". */
export function safe(text: string): string {
  return text.toWellFormed().replace(OBEYED, escaped);
}

/** As {@link safe}, but several lines stay several lines, and a tab is two spaces. */
export function safeLines(text: string): string {
  return text
    .replaceAll("\t", "  ")
    .split(/\r?\n/)
    .map((line) => safe(line))
    .join("\n");
}

/** The same inside JSON, where it means the same character as before. */
export function safeJson(json: string): string {
  return json.replace(OBEYED, (char) => `\\u${hex(char, 4)}`);
}

function escaped(char: string): string {
  if (char === "\n") return "\\n";
  if (char === "\r") return "\\r";
  if (char === "\t") return "\\t";
  return char < "\u0100" ? `\\x${hex(char, 2)}` : `\\u${hex(char, 4)}`;
}

function hex(char: string, digits: number): string {
  return char.codePointAt(0)!.toString(16).padStart(digits, "0");
}

/** Nothing but what is one column wide each. */
const PLAIN = /^[\x20-\x7e]*$/;

/** Shown in two columns: emoji, and the East Asian wide and full-width characters (Unicode's EastAsianWidth W and F). */
const WIDE =
  /^(?:\p{Emoji_Presentation}|\p{Emoji}\ufe0f|[\u1100-\u115f\u231a\u231b\u2329\u232a\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18aff}\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}])/u;

/** Shown in none, where nothing stands before them that they belong to. */
const NOTHING = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Columns that a harmless line takes in a terminal. */
export function widthOf(line: string): number {
  if (PLAIN.test(line)) return line.length;
  let width = 0;
  for (const { segment } of graphemes.segment(line)) width += charWidth(segment);
  return width;
}

/** The beginning of a line that is wider than it may be, and "…". */
export function cut(line: string, width: number): string {
  if (widthOf(line) <= width) return line;
  let [shown, used] = ["", 0];
  for (const { segment } of graphemes.segment(line)) {
    used += charWidth(segment);
    if (used > width - 1) break;
    shown += segment;
  }
  return `${shown}…`;
}

function charWidth(grapheme: string): number {
  if (WIDE.test(grapheme)) return 2;
  return NOTHING.test(grapheme) ? 0 : 1;
}

/** The first line that says anything. */
export function firstLine(text: string): string {
  return text.trimStart().split(/[\r\n]/, 1)[0]!;
}

/** A text broken at spaces into lines no wider than that. A word that is wider gets a line of its own, and is broken. */
export function wrap(text: string, width: number): string[] {
  return text.split("\n").flatMap((line) => wrapLine(line, width));
}

function wrapLine(line: string, width: number): string[] {
  if (widthOf(line) <= width) return [line];
  const lines: string[] = [];
  let [current, used] = ["", 0];
  for (const { segment } of graphemes.segment(line)) {
    const wide = charWidth(segment);
    if (used + wide > width) {
      const space = current.lastIndexOf(" ");
      const at = space > 0 ? space : current.length;
      lines.push(current.slice(0, at));
      current = current.slice(at).trimStart();
      used = widthOf(current);
    }
    current += segment;
    used += wide;
  }
  return [...lines, current];
}

/** What is printed where: results and JSON on stdout, the rest on stderr, colours where they are wanted. */
import { safeJson } from "./text.js";

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
  print(safeJson(JSON.stringify(value)));
}

/** `qudo status | head` closes our stdout early: nothing to complain about. */
export function ignoreClosedPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

/** "1 job", "2,000 jobs". */
export function plural(n: number, noun: string): string {
  return `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
}

/** "512 bytes", "1.4 MB". */
export function bytes(n: number): string {
  if (n < 1_000) return plural(n, "byte");
  const unit = ["kB", "MB", "GB", "TB"].find((_, i) => n < 1_000 ** (i + 2)) ?? "TB";
  const size = n / 1_000 ** (["kB", "MB", "GB", "TB"].indexOf(unit) + 1);
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}

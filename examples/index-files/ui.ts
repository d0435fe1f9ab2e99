/** What a person sees: a progress bar on a terminal, a line now and then elsewhere, a table at the end. */
import type { Report } from "./report.js";

export interface Progress {
  /** Files found so far; final once `scanned`. */
  readonly files: number;
  readonly scanned: boolean;
  readonly done: number;
  /** Finished since this start, and the seconds it took. */
  readonly finishedNow: number;
  readonly seconds: number;
}

const EVERY_MS = 5_000;

/** Writes to stderr, so that --json's line stands alone on stdout. */
export class Bar {
  private printedAt = performance.now();
  private drawn = false;

  /** `quiet`: nothing but a bar on a terminal. */
  constructor(
    private readonly out: NodeJS.WriteStream,
    private readonly quiet: boolean,
  ) {}

  draw(progress: Progress): void {
    const line = progressLine(progress, this.out.columns ?? 80);
    if (this.out.isTTY) {
      this.out.write(`\r${line}\x1b[K`);
      this.drawn = true;
    } else if (!this.quiet && performance.now() - this.printedAt >= EVERY_MS) {
      this.printedAt = performance.now();
      this.out.write(`${line}\n`);
    }
  }

  clear(): void {
    if (this.drawn) this.out.write("\r\x1b[K");
    this.drawn = false;
  }
}

function progressLine(
  { files, scanned, done, finishedNow, seconds }: Progress,
  columns: number,
): string {
  const rate = finishedNow / Math.max(seconds, 0.001);
  const share = files === 0 ? 0 : Math.min(1, done / files);
  const percent = scanned ? `${String(Math.floor(share * 100)).padStart(3)} %` : "scanning";
  const left = scanned && rate > 0 ? `, ${clock((files - done) / rate)} left` : "";
  const text = ` ${percent}  ${count(done)} of ${count(files)} files, ${count(rate)}/s${left}`;
  const width = Math.max(0, Math.min(30, columns - text.length - 3));
  const full = Math.round(share * width);
  return `${"█".repeat(full)}${"░".repeat(width - full)}${text}`.slice(0, columns - 1);
}

export function table(
  report: Report,
  seconds: number,
  rate: number,
  notes: readonly string[],
): string {
  const rows: [string, string][] = [
    ["files", count(report.files)],
    ["done", count(report.done)],
    ["failed attempts", count(report.failedAttempts)],
    ["abandoned", count(report.abandoned.length)],
    ["bytes", `${count(report.bytes)} (${size(report.bytes)})`],
    ["lines, words", `${count(report.lines)}, ${count(report.words)}`],
    ["seconds", seconds.toFixed(2)],
    ["jobs/s", count(rate)],
  ];
  if (report.crashes > 0) rows.push(["taken back from dead workers", count(report.crashes)]);
  const kinds = report.largestKinds.map(
    ({ extension, files, bytes }) =>
      `  ${extension.padEnd(14)}${size(bytes).padStart(10)}  in ${count(files)} files`,
  );
  const lost = report.abandoned.slice(0, 10).map(({ path, why }) => `  ${path}\n    ${why}`);
  if (report.abandoned.length > 10) lost.push(`  … and ${report.abandoned.length - 10} more`);
  return [
    ...rows.map(([name, value]) => `${name.padEnd(17)} ${value}`),
    "largest kinds",
    ...kinds,
    ...(lost.length > 0 ? ["abandoned, after three tries", ...lost] : []),
    ...notes,
    `digest            ${report.digest}`,
  ].join("\n");
}

const numbers = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
export const count = (n: number): string => numbers.format(n);

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? String(value) : value.toFixed(1)} ${units[power]}`;
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

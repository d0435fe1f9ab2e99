/** `qudo status --watch`: how things stand, again and again, until somebody has seen enough. */
import { setTimeout as sleep } from "node:timers/promises";
import type { DatabaseInfo } from "../client/databases.js";
import { figuresOf } from "../client/figures.js";
import type { Throughput } from "../client/monitor.js";
import { humanDuration } from "../core/duration.js";
import { DatabaseError } from "../core/errors.js";
import type { Qudo } from "../qudo.js";
import type { LaneCounts, SessionRow } from "../storage/driver.js";
import { databaseLines } from "./database-table.js";
import { EXIT, type ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { painter, printJson } from "./output.js";
import { Quit } from "./quit.js";
import { openScreen } from "./screen.js";
import { livingLines } from "./status-text.js";
import type { Column } from "./table.js";
import { safe } from "./text.js";
import { brief, stamp } from "./when.js";
import { workerJson, workerLines } from "./worker-table.js";

/** All that one look has found. */
export interface Look {
  readonly at: number;
  readonly name: string;
  readonly databases: readonly DatabaseInfo[];
  readonly lanes: readonly LaneCounts[];
  readonly workers: readonly SessionRow[];
  readonly tally: readonly Throughput[];
  readonly gaps: Gaps;
}

/** The first look may fail, as every command may; later ones are shown as failed, and made again. */
export async function watch(
  qudo: Qudo,
  everyMs: number,
  json: boolean,
  name: () => Promise<string>,
): Promise<ExitCode> {
  let look = await lookAt(qudo, await name());
  using quit = new Quit(!json);
  using screen = json ? null : openScreen();
  const draw = (trouble?: string): void => screen?.draw(pictureOf(look, everyMs, trouble));
  const resized = (): void => {
    screen?.forget();
    draw();
  };
  process.stdout.on("resize", resized);
  try {
    for (let trouble: string | undefined; ;) {
      if (json) printJson(lookJson(look));
      else draw(trouble);
      await sleep(everyMs, undefined, { signal: quit.signal });
      ({ look, trouble } = await lookAgain(qudo, look));
      if (quit.signal.aborted) return EXIT.ok;
    }
  } catch (error) {
    if (quit.signal.aborted) return EXIT.ok;
    throw error;
  } finally {
    process.stdout.off("resize", resized);
  }
}

async function lookAt(qudo: Qudo, name: string): Promise<Look> {
  const gaps = new Gaps();
  const { monitor } = qudo;
  const [databases, lanes, workers, tally] = await Promise.all([
    monitor.databases(),
    gaps.of(monitor.counts({ ended: false })),
    gaps.of(monitor.workers()),
    gaps.of(monitor.tally("60s")),
  ]);
  return { at: Date.now(), name, databases, lanes, workers, tally, gaps };
}

async function lookAgain(qudo: Qudo, before: Look): Promise<{ look: Look; trouble?: string }> {
  try {
    return { look: await lookAt(qudo, before.name) };
  } catch (error) {
    if (!(error instanceof DatabaseError && error.transient)) throw error;
    return { look: before, trouble: error.message };
  }
}

/** What the look found, as lines for the terminal as wide as it is now. */
function pictureOf(look: Look, everyMs: number, trouble?: string): string[] {
  const paint = painter(process.stdout);
  const { at, name, databases, lanes, workers, tally, gaps } = look;
  const now = Date.now();
  const every = `every ${everyMs < 1_000 ? humanDuration(everyMs) : brief(everyMs)}${process.stdin.isTTY ? ", q ends" : ""}`;
  const unasked = gaps.json.unasked ?? [];
  return [
    `${paint.bold(safe(name))}  ${stamp(new Date(now))}  ${paint.dim(every)}`,
    ...(trouble === undefined
      ? []
      : [paint.red(`as it was ${brief(now - at)} ago: ${safe(trouble)}`)]),
    ...databaseLines(databases, now),
    ...unasked.map((one) => paint.yellow(`without ${one.database}: ${safe(one.reason)}`)),
    "",
    figuresLine(lanes, at),
    rateLine(tally, at),
    "",
    ...livingLines(lanes, rateColumns(tally, at), at),
    "",
    ...workerLines(workers, at),
  ];
}

function figuresLine(lanes: readonly LaneCounts[], now: number): string {
  const paint = painter(process.stdout);
  const { running, reserved, pending, delayed, failed, outstanding, load, dueSince } =
    figuresOf(lanes);
  const waits =
    dueSince === null ? "" : `, the first due one for ${brief(now - dueSince.getTime())}`;
  const words = [
    `${n(outstanding)} unfinished`,
    `${n(load)} due`,
    `${n(running)} running`,
    `${n(reserved)} held`,
    `${n(pending)} waiting${waits}`,
    `${n(delayed)} for later`,
  ];
  const tries = `${n(failed)} for another try`;
  return [...words, failed > 0 ? paint.yellow(tries) : tries].join(" · ");
}

const ENDS = ["failed", "crashed", "abandoned"] as const;

function rateLine(tally: readonly Throughput[], now: number): string {
  const paint = painter(process.stdout);
  const perMinute = ratesOf(tally, now);
  const ends = ENDS.map((event) => {
    const text = `${rate(perMinute(event))} ${event}`;
    return perMinute(event) === 0
      ? text
      : event === "abandoned"
        ? paint.red(text)
        : paint.yellow(text);
  });
  const well = [`${rate(perMinute("enqueued"))} enqueued`, `${rate(perMinute("done"))} done`];
  return `per minute: ${[...well, ...ends].join(" · ")}`;
}

function rateColumns(tally: readonly Throughput[], now: number): Column<LaneCounts>[] {
  const perMinute = ratesOf(tally, now);
  const column = (title: string, event: Throughput["event"]): Column<LaneCounts> => ({
    title,
    cell: (lane) => Math.round(perMinute(event, lane)),
    paint: (lane) => (perMinute(event, lane) === 0 ? painter(process.stdout).dim : undefined),
  });
  return [column("in/min", "enqueued"), column("done/min", "done")];
}

type Rates = (event: Throughput["event"], lane?: { queue: string; kind: string }) => number;

/**
 * Counts come by the minute: what is there is of one whole minute and of as much of the next one as has passed, so that it is an
 * average over one to two minutes.
 */
function ratesOf(tally: readonly Throughput[], now: number): Rates {
  const first = Math.floor((now - 60_000) / 60_000) * 60_000;
  const minutes = (now - first) / 60_000;
  return (event, lane) => {
    const rows = tally.filter(
      (row) =>
        row.event === event &&
        (lane === undefined || (row.queue === lane.queue && row.kind === lane.kind)),
    );
    return rows.reduce((sum, row) => sum + row.n, 0) / minutes;
  };
}

function n(count: number): string {
  return count.toLocaleString("en-US");
}

function rate(perMinute: number): string {
  return perMinute > 0 && perMinute < 10 ? perMinute.toFixed(1) : n(Math.round(perMinute));
}

/** One line for each look; moments as text. */
function lookJson({ at, name, databases, lanes, workers, gaps }: Look): object {
  return {
    at: new Date(at),
    database: name,
    ...(databases.length > 0 && { databases }),
    figures: figuresOf(lanes),
    lanes: lanes.map(laneJson),
    workers: workers.map(workerJson),
    ...gaps.json,
  };
}

export function laneJson({ dueSince, ...lane }: LaneCounts): object {
  return { ...lane, dueSince: dueSince === null ? null : new Date(dueSince) };
}

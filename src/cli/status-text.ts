/** What `qudo status` shows of lanes, once or live. */
import type { LaneCounts } from "../storage/driver.js";
import { painter, type Paint } from "./output.js";
import { table, type Column } from "./table.js";
import { brief } from "./when.js";

const STATES = [
  "pending",
  "failed",
  "delayed",
  "reserved",
  "running",
  "done",
  "abandoned",
  "cancelled",
] as const;

export function laneLines(lanes: readonly LaneCounts[]): string[] {
  if (lanes.length === 0) return ["No jobs yet."];
  return table(laneColumns(STATES), lanes, look());
}

/** Without what has ended; with since when the first of the due ones waits, and with figures of a minute. */
export function livingLines(
  lanes: readonly LaneCounts[],
  more: readonly Column<LaneCounts>[],
  now: number,
): string[] {
  if (lanes.length === 0) return ["No jobs yet."];
  const paint = painter(process.stdout);
  const [names, paused] = [laneColumns(STATES.slice(0, 5)), PAUSED()];
  const waits: Column<LaneCounts> = {
    title: "waits",
    cell: ({ dueSince }) => (dueSince === null ? "" : brief(now - dueSince)),
    paint: ({ dueSince }) =>
      dueSince !== null && now - dueSince > LONG_MS ? paint.yellow : undefined,
    whole: true,
  };
  return table([...names.slice(0, -1), waits, ...more, paused], lanes, look());
}

/** From here on a due job has waited for long enough to be looked after. */
const LONG_MS = 60_000;

function look(): { width: number | undefined; title: Paint } {
  return { width: process.stdout.columns, title: painter(process.stdout).bold };
}

function laneColumns(states: readonly (typeof STATES)[number][]): Column<LaneCounts>[] {
  const paint = painter(process.stdout);
  const alarms: Partial<Record<string, Paint>> = { failed: paint.yellow, abandoned: paint.red };
  return [
    { title: "queue", cell: ({ queue }) => queue },
    { title: "kind", cell: ({ kind }) => kind },
    ...states.map((state) => ({
      title: state,
      cell: (lane: LaneCounts) => lane[state],
      paint: (lane: LaneCounts) => (lane[state] === 0 ? paint.dim : alarms[state]),
    })),
    PAUSED(),
  ];
}

const PAUSED = (): Column<LaneCounts> => ({
  title: "",
  cell: ({ paused }) => (paused ? "paused" : ""),
  paint: () => painter(process.stdout).yellow,
});

/** Several databases as a table: which can be used, what for, and why not. */
import type { DatabaseInfo } from "../client/databases.js";
import { humanDuration } from "../core/duration.js";
import { painter } from "./output.js";
import { table, type Column } from "./table.js";

export function isOut({ state }: DatabaseInfo): boolean {
  return state !== "healthy";
}

/** With an empty line before it; nothing where there is no list of databases. */
export function databaseLines(databases: readonly DatabaseInfo[], now: number): string[] {
  if (databases.length === 0) return [];
  const paint = painter(process.stdout);
  const look = { width: process.stdout.columns, title: paint.bold, paintBelow: paint.red };
  return ["", ...table(columns(now), databases, { ...look, below: reasonOf })];
}

const reasonOf = ({ reason }: DatabaseInfo): string => reason ?? "";

function columns(now: number): Column<DatabaseInfo>[] {
  const paint = painter(process.stdout);
  const ago = (since: Date): string => `${humanDuration(Math.max(0, now - since.getTime()))} ago`;
  return [
    { title: "database", cell: ({ name }) => name },
    {
      title: "state",
      cell: ({ state }) => state,
      paint: (one) => (isOut(one) ? paint.red : paint.green),
    },
    {
      title: "mode",
      cell: ({ mode }) => mode,
      paint: ({ mode }) => (mode === "active" ? undefined : paint.yellow),
    },
    { title: "since", cell: (one) => (isOut(one) ? ago(one.since) : ""), yields: 2 },
    { title: "place", cell: ({ label }) => label, yields: 1 },
  ];
}

/** `qudo limits`: what was declared of limits, and how much of it is used. Writes nothing. */
import type { Command } from "commander";
import type { RateSpec } from "../core/limits/spec.js";
import { humanDuration } from "../core/duration.js";
import type { LimitRow } from "../storage/driver.js";
import { addCommand, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import type { ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { painter, print, printJson } from "./output.js";
import { table, type Column } from "./table.js";

export function addLimits(program: Command): void {
  addCommand(
    program,
    {
      name: "limits",
      summary: "show limits, and how much of them is used",
      description:
        "Shows the limits of kinds and queues as the worker that started last declared them, and all workers obey them: how many " +
        "jobs are held by workers under each, how many tokens are left, and how many jobs wait for their key's turn.\n\n" +
        "They are declared in the program (defineJob, queueLimits). Of several databases each has its own.",
      examples: [
        ["qudo limits", "of ./qudo.db"],
        ["qudo limits --json | jq '.limits[] | select(.waiting > 0)'", "kinds with jobs that wait"],
      ],
    },
    limits,
  );
}

async function limits({ database, json }: CommonOptions): Promise<ExitCode> {
  await using qudo = openExisting(database);
  const gaps = new Gaps();
  const rows = await gaps.of(qudo.monitor.limits());
  if (json) printJson({ limits: rows.map(limitJson), ...gaps.json });
  else print(rows.length === 0 ? "No limits." : limitLines(rows).join("\n"));
  return gaps.tell();
}

function limitJson({ declaredAt, ...row }: LimitRow): object {
  return { ...row, declaredAt: new Date(declaredAt).toISOString() };
}

function limitLines(rows: readonly LimitRow[]): string[] {
  const paint = painter(process.stdout);
  return table(columns(), rows, { width: process.stdout.columns, title: paint.bold });
}

function columns(): Column<LimitRow>[] {
  const paint = painter(process.stdout);
  return [
    { title: "of", cell: ({ scope }) => scope },
    { title: "name", cell: ({ name }) => name },
    { title: "database", cell: ({ database = "" }) => database },
    {
      title: "running",
      cell: ({ running, spec }) => (spec.running === null ? "" : `${running} of ${spec.running}`),
      paint: (row) => (isFull(row) ? paint.yellow : undefined),
    },
    { title: "each machine", cell: ({ spec }) => spec.perMachine ?? "" },
    { title: "rate", cell: ({ spec }) => rateText(spec.rate) },
    {
      title: "tokens",
      cell: ({ tokens }) => tokens ?? "",
      paint: ({ tokens }) => (tokens === 0 ? paint.yellow : undefined),
    },
    { title: "each key", cell: ({ spec: { perKey } }) => keyText(perKey) },
    { title: "waiting", cell: ({ waiting }) => waiting },
  ];
}

const isFull = ({ running, spec }: LimitRow): boolean =>
  spec.running !== null && running >= spec.running;

function rateText(rate: RateSpec | null): string {
  if (rate === null) return "";
  const { tokens, perMs, burst } = rate;
  const text = `${tokens} in ${humanDuration(perMs)}`;
  return burst === tokens ? text : `${text}, ${burst} at once`;
}

function keyText(perKey: LimitRow["spec"]["perKey"]): string {
  if (perKey === null) return "";
  const running = perKey.running === null ? [] : [`${perKey.running} running`];
  return [...running, ...(perKey.rate === null ? [] : [rateText(perKey.rate)])].join(", ");
}

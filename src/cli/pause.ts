/** `qudo pause`, and what it shares with `qudo resume`. */
import type { Command } from "commander";
import type { LaneCounts } from "../storage/driver.js";
import { addCommand, type CommandText, type CommonOptions } from "./command.js";
import { openExisting } from "./existing.js";
import type { ExitCode } from "./exit.js";
import { Gaps } from "./gaps.js";
import { print, printJson, say } from "./output.js";
import { safe } from "./text.js";

interface PauseFlags extends CommonOptions {
  kind?: string;
}

export function addPause(program: Command): void {
  addPauseCommand(
    program,
    {
      name: "pause",
      summary: "let workers take nothing from a queue",
      description:
        "From now on no worker takes a job from the queue, or with --kind no job of that kind in it. What workers hold " +
        "already goes on, and jobs can be enqueued as before. It lasts until: qudo resume. `qudo status` shows it.",
      examples: [
        ["qudo pause mail", "the whole queue"],
        ["qudo pause mail --kind mail.newsletter", "one kind in it"],
      ],
    },
    true,
  );
}

/** Either of the two. */
export function addPauseCommand(
  program: Command,
  text: Omit<CommandText, "args">,
  paused: boolean,
): void {
  addCommand<PauseFlags>(program, { ...text, args: [["<queue>", "which queue"]] }, (flags, args) =>
    setPaused(flags, args[0]!, paused),
  ).option("--kind <kind>", "only this kind in the queue (default: the whole queue)");
}

async function setPaused(
  { database, kind, json }: PauseFlags,
  queue: string,
  paused: boolean,
): Promise<ExitCode> {
  await using qudo = openExisting(database);
  const target = kind === undefined ? {} : { kind };
  const gaps = new Gaps();
  const done = paused ? qudo.pause(queue, target) : qudo.resume(queue, target);
  const changed = await gaps.of(done);
  if (json) printJson({ queue, kind: kind ?? null, paused, changed, ...gaps.json });
  else {
    const name = safe(kind === undefined ? queue : `${queue}, kind ${kind}`);
    print(`${name}: ${whatHappened(changed, paused)}`);
    const lanes = changed ? await gaps.of(qudo.monitor.counts({ queue })) : [];
    if (changed && paused) sayIfUnknown(lanes, kind);
    else sayIfStillPaused(lanes);
  }
  return gaps.tell();
}

function whatHappened(changed: boolean, paused: boolean): string {
  if (paused) return changed ? "paused" : "was paused already";
  return changed ? "resumed" : "was not paused";
}

/** A mistyped name pauses nothing that anybody has in mind. */
function sayIfUnknown(lanes: readonly LaneCounts[], kind?: string): void {
  const jobs = lanes
    .filter((lane) => kind === undefined || lane.kind === kind)
    .flatMap((lane) => [
      lane.pending,
      lane.failed,
      lane.reserved,
      lane.running,
      lane.done,
      lane.abandoned,
      lane.cancelled,
    ])
    .some((n) => n > 0);
  if (!jobs) say("no job is there so far: check the name with qudo status");
}

/** Kinds are paused apart from their queue. */
function sayIfStillPaused(lanes: readonly LaneCounts[]): void {
  const paused = lanes.filter((lane) => lane.paused);
  if (paused.length > 0) say(`still paused: ${paused.map(({ kind }) => safe(kind)).join(", ")}`);
}

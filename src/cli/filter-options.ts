/** The options by which list, retry and cancel are told which jobs are meant. */
import type { Command } from "commander";
import type { JobFilter } from "../client/filter.js";
import type { JobState } from "../core/states.js";
import { commas, momentOrAgo } from "./values.js";

export interface FilterFlags {
  state?: string[];
  queue?: string;
  kind?: string;
  since?: string;
  until?: string;
  in?: string;
}

export function addFilterOptions(command: Command): Command {
  return command
    .option("--state <state>", "in this state; several with commas, or given again", commas)
    .option("--queue <name>", "in this queue")
    .option("--kind <kind>", "of this kind")
    .option("--since <time>", "enqueued within this time (2h), or at this date or later")
    .option("--until <time>", "enqueued longer ago than that, or before this date")
    .option("--in <name>", "in the database of this name, where there are several");
}

/** What was said, and nothing else. @throws InvalidInputError for a time that is none; the API looks at the rest. */
export function filterOf(flags: FilterFlags): JobFilter {
  const { state, queue, kind, since, until, in: database } = flags;
  return {
    ...(state !== undefined && { state: state as JobState[] }),
    ...(queue !== undefined && { queue }),
    ...(kind !== undefined && { kind }),
    ...(since !== undefined && { since: momentOrAgo(since, "--since") }),
    ...(until !== undefined && { until: momentOrAgo(until, "--until") }),
    ...(database !== undefined && { database }),
  };
}

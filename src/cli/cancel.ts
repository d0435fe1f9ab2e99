/** `qudo cancel`: jobs that are not to run, or not to go on. */
import type { Command } from "commander";
import { ABSENT, addAction } from "./act.js";

export function addCancel(program: Command): void {
  addAction(
    program,
    {
      name: "cancel",
      summary: "cancel jobs that have not ended",
      description:
        "Cancels jobs: waiting ones never run, running ones are told through their signal, and whatever they still do is " +
        "not counted. A cancelled job can be retried.\n\n" +
        "Exit code 1 when one of the given jobs had ended already, or is not there.",
      examples: [
        ["qudo cancel 01a2056e-0fcc-7000-b73f-72fe5e0a14cb", "one job"],
        ["qudo cancel --queue mail --state pending,failed --dry-run", "how many wait in a queue"],
        ["qudo cancel --queue mail --state pending,failed", "those"],
        ["qudo list --kind report --json | jq -r '.jobs[].id' | qudo cancel -", "ids from stdin"],
      ],
    },
    () => ({
      done: "cancelled",
      states: ["pending", "failed", "reserved", "running"],
      otherState: (state) => `has ended already (${state})`,
      one: async (qudo, id) => {
        const outcome = await qudo.jobs.cancel(id);
        if (outcome === "cancelled") return null;
        return outcome === "absent" ? ABSENT : "it has ended already";
      },
      all: (qudo, filter, options) => qudo.jobs.cancelAll(filter, options),
    }),
  );
}

/** `qudo retry`: another life for jobs that were given up. */
import type { Command } from "commander";
import type { JobState } from "../core/states.js";
import { ABSENT, addAction, type Action, type ActFlags } from "./act.js";
import { AS_NEW } from "./retry-as-new.js";

interface RetryFlags extends ActFlags {
  asNew?: true;
}

export function addRetry(program: Command): void {
  addAction<RetryFlags>(
    program,
    {
      name: "retry",
      summary: "run abandoned or cancelled jobs again",
      description:
        "Asks for another life of jobs that were abandoned or cancelled: they run as soon as a worker is free, with their " +
        "tries counted from zero. Failed jobs need none: they try again by themselves.\n\n" +
        "With --as-new the job stays as it is, and a new one like it is enqueued for the last of its runs that failed: once " +
        "for each run, whoever asks. Its id is printed.\n\n" +
        "Exit code 1 when one of the given jobs could not be retried.",
      examples: [
        ["qudo retry 01a2056e-0fcc-7000-b73f-72fe5e0a14cb", "one job"],
        [
          "qudo retry --kind mail.send --state abandoned --since 2h --dry-run",
          "how many that would be, and the first of them",
        ],
        ["qudo retry --kind mail.send --state abandoned --since 2h", "those"],
        ["qudo retry --as-new 01a2056e-0fcc-7000-b73f-72fe5e0a14cb", "a new job like that one"],
        ["jq -r '.jobs[].id' found.json | qudo retry -", "ids from stdin"],
      ],
    },
    ({ asNew }) => (asNew ? AS_NEW : RETRY),
  ).option("--as-new", "enqueue a new job like it, and leave it as it is");
}

const RETRY: Action = {
  done: "retried",
  states: ["abandoned", "cancelled"],
  otherState,
  one: async (qudo, id) => {
    const outcome = await qudo.jobs.retry(id);
    switch (outcome.status) {
      case "requeued":
        return null;
      case "absent":
        return ABSENT;
      case "unique":
        return `the job ${outcome.holder} has its unique key`;
      case "refused":
        return `it ${otherState(outcome.state)}`;
    }
  },
  all: (qudo, filter, options) => qudo.jobs.retryAll(filter, options),
};

function otherState(state: JobState): string {
  if (state === "done") return "ended well";
  return state === "moved" ? "is in another database now" : `is ${state}, and runs by itself`;
}

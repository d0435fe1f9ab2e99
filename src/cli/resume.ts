/** `qudo resume`: takes back `qudo pause`. */
import type { Command } from "commander";
import { addPauseCommand } from "./pause.js";

export function addResume(program: Command): void {
  addPauseCommand(
    program,
    {
      name: "resume",
      summary: "let workers take from a paused queue again",
      description:
        "Takes back what qudo pause did: workers take jobs from the queue again, or with --kind of that kind in it. A kind " +
        "that was paused by itself stays so when its queue is resumed.",
      examples: [
        ["qudo resume mail", "the whole queue"],
        ["qudo resume mail --kind mail.newsletter", "one kind in it"],
      ],
    },
    false,
  );
}

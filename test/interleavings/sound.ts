/** What looks like a violation and is none: the slack of clocks, and a cancelled run that is still shown as running. */
import { NOW } from "./scenario.js";
import { history, RUNNING } from "./seeds.js";
import { HOLDS_ITS_PLACE } from "./seeds-limits.js";
import type { Spoil } from "./spoil.js";

export const SOUND: readonly (readonly [string, (run: Spoil) => void])[] = [
  [
    "a ready job that is due in a second",
    (run) => {
      run("update qudo_job set run_at = ? where id = ?", NOW + 1_000, "ready");
      run("update qudo_ready set run_at = ? where id = ?", NOW + 1_000, "ready");
    },
  ],
  [
    "a run that started a second after its end",
    (run) => run("update qudo_outcome set started_at = ended_at + 1000 where job_id = ?", "done"),
  ],
  [
    "an end a second ahead",
    (run) => run("update qudo_outcome set ended_at = ? where job_id = ?", NOW + 1_000, "done"),
  ],
  [
    "a running row of a cancelled run that its worker has not given up",
    (run) => run(RUNNING, "doomed", 1, "dying"),
  ],
  ["a place under a limit of a cancelled run that its worker has not given up", HOLDS_ITS_PLACE],
  ["a long history that pruning has cut at its front", (run) => history(run, "done", 1_000, 20)],
];

/** What the tests of hooks share: a kind that does what its payload says, and a queue that keeps what failed. */
import {
  defineJob,
  fixed,
  snooze,
  type FailedHook,
  type Hooks,
  type Qudo,
} from "../../src/index.js";
import { attemptsOf, newQudo, until } from "./support.js";

export const boom = (): never => {
  throw new Error("boom");
};

/** One kind that does what its payload says. */
export function setting(own: Hooks[] = []) {
  const log: string[] = [];
  const job = defineJob("step", {
    backoff: fixed("1h"),
    maxAttempts: 2,
    hooks: own,
    run: (payload: unknown, { abort }): unknown => {
      log.push(`handler ${JSON.stringify(payload)}`);
      if (payload === "fail") throw new Error("no luck");
      if (payload === "abort") abort("useless");
      return payload === "snooze" ? snooze("1h") : { got: payload };
    },
  });
  const qudo = newQudo([job]);
  const failures: FailedHook[] = [];
  qudo.on("hook:failed", (failed) => failures.push(failed));
  return { job, qudo, log, failures };
}

/** Works until so many runs have an outcome, then stops. */
export async function worked(qudo: Qudo, runs: number): Promise<void> {
  await using _ = await qudo.work();
  await until("all have ended", async () => (await attemptsOf(qudo)).length >= runs);
}

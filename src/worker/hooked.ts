/** A run with hooks around its handler, and what they are told once it has ended. */
import { allInTurn, inTurn, notEntered, onion, type Maybe } from "../core/chain.js";
import { decode } from "../core/codec.js";
import type { FailedHook } from "../core/events.js";
import type { Chain, WorkOutcome } from "../core/hooks.js";
import type { WorkJob } from "../core/job.js";
import type { RunState } from "../core/states.js";
import type { Settlement } from "../storage/driver.js";
import { reasonFor, type Run } from "./context.js";

/** Hears of hooks that failed where they change nothing. */
export type HookFailed = (failed: FailedHook) => void;

/** The payload as hooks leave it. */
export async function deserialized(run: Run, payload: unknown): Promise<unknown> {
  const { id, kind, queue, chain } = run;
  if (chain === null || chain.deserialize.length === 0) return payload;
  const draft = { id, kind, queue, payload };
  await inTurn(chain.deserialize, (hook) => hook(draft));
  // Now, and not when something is to be masked: its handler may change what it is given.
  run.hide(draft.payload);
  return draft.payload;
}

/** Runs the handler inside of its hooks. */
export function work(run: Run, chain: Chain<WorkJob>, payload: unknown): Maybe<unknown> {
  const core = async (): Promise<unknown> => {
    await inTurn(chain.preWork, (hook) => hook(run));
    // Interrupted meanwhile: the handler never starts.
    if (run.cause !== null) throw reasonFor(run.cause, run.claimed);
    return run.definition.run(payload, run);
  };
  return onion<(typeof chain.aroundWork)[number]["call"], unknown>(
    {
      point: "around.work",
      hooks: chain.aroundWork,
      enter: (hook, next) => hook.call(run, next),
      core,
    },
    (returned, inside, hook) => {
      if (inside === undefined && returned === undefined) throw notEntered(hook, "around.work");
      if (inside === undefined) return returned;
      if (returned === undefined) return inside.get();
      // Nobody decides over a handler that still runs.
      return inside.promise().then(
        () => returned,
        () => returned,
      );
    },
  );
}

/** Whether anybody is to be told what became of it. */
export function hasAfterwards(chain: Chain<WorkJob>): boolean {
  return chain.postWork.length + chain.onFailed.length + chain.onAbandoned.length > 0;
}

/** Tells what became of a run. Never rejects. */
export async function tellAfterwards(
  run: Run,
  settlement: Settlement,
  state: RunState | "lost",
  failed: HookFailed,
): Promise<void> {
  const chain = run.chain!;
  const { database, claimed } = run;
  const job = { id: claimed.job, kind: claimed.kind, queue: claimed.queue };
  const outcome = outcomeOf(run, settlement, state);
  const tell = (point: "postWork" | "onFailed" | "onAbandoned"): Maybe<void> =>
    allInTurn(
      chain[point],
      (hook) => hook(run, outcome),
      (hook, error) =>
        failed({ hook, point, ...job, error, ...(database !== null && { database }) }),
    );
  if (state === "failed") await tell("onFailed");
  if (state === "abandoned") await tell("onAbandoned");
  await tell("postWork");
}

function outcomeOf(run: Run, settlement: Settlement, state: RunState | "lost"): WorkOutcome {
  const { reason, error, next, elapsedMs } = settlement;
  // Its transaction is there: what is settled after it counts no more.
  const completed = run.completed && state === "done";
  const text = completed ? run.completedWith : settlement.result;
  return {
    state,
    reason: completed ? null : reason,
    result: text === null ? undefined : decode(text),
    error: completed ? null : error,
    thrown: completed ? undefined : run.thrown,
    delayMs: completed || next === null ? null : next === "same-place" ? 0 : next.delayMs,
    elapsedMs: elapsedMs ?? run.elapsedMs,
  };
}

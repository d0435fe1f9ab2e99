/** What the actors do to the prepared file, as plain calls of the driver: they go to another thread. */
import { afterFailure } from "../../src/core/outcome.js";
import type { Driver, SettleGroup } from "../../src/storage/driver.js";
import {
  DYING_BEAT,
  doneGroup,
  id,
  KEY_DOOMED,
  KEY_HELD,
  KEY_OLD,
  KEY_READY,
  newJob,
  wants,
} from "./scenario.js";

/** A method of the driver and its arguments. */
export type Call = {
  [M in keyof Driver]-?: Driver[M] extends (...args: infer A) => Promise<unknown>
    ? { readonly method: M; readonly args: A }
    : never;
}[keyof Driver];

export type Side = "first" | "second";
export type Operation = (side: Side) => Call;

const EVERYTHING = ["waits", "held", "suspect", "doomed", "finished", "listed", "new"];
const HELD = [
  ["held", 1],
  ["running", 1],
  ["held too", 1],
  ["crashed", 2],
  ["crashed, running", 2],
] as const;

const dying = { session: id("dying"), lease: id("lease") };

const trip = (settle: readonly SettleGroup[], session: string | null, lease: string): Call => {
  const claim =
    session === null
      ? null
      : { lease: id(lease), session: id(session), wants: wants(...EVERYTHING) };
  return { method: "trip", args: [{ settle, claim }] };
};

const lines = ["on my way", "half of it"].map((text, i) => ({
  seq: i + 1,
  agoMs: 10 - i,
  level: "info" as const,
  text,
}));

const withLines = (group: SettleGroup): SettleGroup => ({
  ...group,
  settlements: group.settlements.map((settlement) => ({ ...settlement, lines })),
});

/** In the place of the job with the key one that has it too; another one wants the key of somebody else. Both sides send the same. */
export function replacingGroup(): SettleGroup {
  const children = [
    newJob("child, keyed", "held", { uniqueKey: KEY_HELD }),
    newJob("child", "new"),
    newJob("child, refused", "waits", { uniqueKey: KEY_READY }),
  ];
  const group = doneGroup("dying", "lease", HELD, true);
  const settlements = group.settlements.map((settlement) =>
    settlement.job === id("running") ? { ...settlement, children } : settlement,
  );
  return { ...group, settlements };
}

/** Only some of the lease fail, the others go on: the lease stays. */
function failedGroup(): SettleGroup {
  const decision = afterFailure({ fails: 0, crashes: 0, maxAttempts: 6 }, () => 60_000);
  const group = doneGroup("dying", "lease", HELD.slice(0, 2), false);
  const failed = { ...decision, error: "it failed" };
  return { ...group, settlements: group.settlements.map((s) => ({ ...s, ...failed })) };
}

const prune = (scan: "done" | "other" | "own"): Call => ({
  method: "prune",
  args: [{ scan, keepMs: 0, after: null, limit: 100 }],
});

const allDone = (): SettleGroup => doneGroup("dying", "lease", HELD, true);

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "claim by a living session": (side) => trip([], "living", `new lease, ${side}`),
  "claim by the dying session": (side) => trip([], "dying", `new lease, ${side}`),
  "claim sent again": () => trip([], "dying", "lease"),
  "settle done": () => trip([allDone()], null, ""),
  "settle failed": () => trip([withLines(failedGroup())], null, ""),
  "settle a cancelled run": () =>
    trip([withLines(doneGroup("dying", "doomed lease", [["doomed", 1]], true))], null, ""),
  "settle with children": () => trip([replacingGroup()], null, ""),
  "settle and claim": (side) => trip([allDone()], "dying", `new lease, ${side}`),
  markStarted: () => ({
    method: "markStarted",
    args: [HELD.slice(0, 4).map(([job, run]) => ({ job: id(job), run, ...dying }))],
  }),
  report: () => ({
    method: "report",
    args: [
      [
        ...HELD.map(([job, run]) => ({ job: id(job), run, ...dying, progress: "50", lines })),
        { job: id("doomed"), run: 1, ...dying, lease: id("doomed lease"), progress: "50", lines },
      ],
    ],
  }),
  "report without news": () => ({
    method: "report",
    args: [HELD.map(([job, run]) => ({ job: id(job), run, ...dying, progress: null, lines: [] }))],
  }),
  heartbeat: () => ({
    method: "heartbeat",
    args: [{ session: dying.session, running: HELD.map(([job, run]) => ({ job: id(job), run })) }],
  }),
  reap: () => ({
    method: "reap",
    args: [[{ id: dying.session, beat: DYING_BEAT, cause: "expired", leaseMs: 30_000 }]],
  }),
  release: () => ({
    method: "release",
    args: [dying.session, [dying.lease, id("doomed lease")]],
  }),
  cancel: () => ({
    method: "cancel",
    args: [["ready", "ready, keyed", "due", "later", "held", "running", "doomed", "done"].map(id)],
  }),
  purge: () => ({
    method: "purge",
    args: [["ready, keyed", "due", "held too", "running", "doomed", "done"].map(id)],
  }),
  // Always another place than it has.
  reschedule: (side) => ({
    method: "reschedule",
    args: [
      ["ready", "ready, keyed", "due", "later", "held", "abandoned"].map((name) => ({
        id: id(name),
        runAt: null,
        delayMs: null,
        priority: side === "first" ? 3 : 4,
      })),
    ],
  }),
  "enqueue from failed": (side) => ({
    method: "enqueueFromFailed",
    args: [
      [
        { job: id("abandoned"), run: 1, id: id(`of abandoned, ${side}`) },
        { job: id("crashed"), run: 1, id: id(`of crashed, ${side}`) },
        { job: id("done"), run: 1, id: id(`of done, ${side}`) },
      ],
    ],
  }),
  dismiss: () => ({ method: "dismiss", args: [[dying.session], "released"] }),
  "pause a queue": () => ({ method: "setPaused", args: [{ queue: "q", kind: null }, true] }),
  "pause a kind": () => ({ method: "setPaused", args: [{ queue: "q", kind: "new" }, true] }),
  promote: () => ({ method: "promote", args: [100] }),
  enqueue: () => ({
    method: "insertJobs",
    args: [[newJob("new", "new"), newJob("new, keyed", "new", { uniqueKey: "a new key" })]],
  }),
  "enqueue with taken keys": (side) => ({
    method: "insertJobs",
    args: [
      [
        newJob(`first, ${side}`, "finished", { uniqueKey: KEY_OLD }),
        newJob(`second, ${side}`, "held", { uniqueKey: KEY_HELD }),
        newJob(`third, ${side}`, "waits", { uniqueKey: KEY_READY }),
        newJob(`fourth, ${side}`, "doomed", { uniqueKey: KEY_DOOMED }),
      ],
    ],
  }),
  retry: () => ({
    method: "retry",
    args: [["abandoned", "cancelled", "done", "doomed", "held", "ready"].map(id)],
  }),
  "prune what is done": () => prune("done"),
  "prune the rest": () => prune("other"),
  "prune by own times": () => prune("own"),
};

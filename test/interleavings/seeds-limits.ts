/** Violations that concern limits: places that nobody holds, and jobs that wait for their key's turn where they should not. */
import type { Seed } from "./seeds.js";

const HELD = `insert into qudo_held (lane, prio, run_at, id, run, fails, crashes, limit_hash)
  select lane, prio, run_at, id, ?, 0, 0, ? from qudo_job where id = ?`;
const SLOT = "insert into qudo_slot (limit_hash, n, job_id, run) values (?, 1, ?, ?)";

export const LIMIT_SEEDS: readonly Seed[] = [
  {
    name: "a finished job among those of its key",
    invariant: "I1",
    job: "done",
    run: 1,
    says: /has ended \(done\) and still stands in held/,
    spoil: (run) => run(HELD, 2, "a key", "done"),
  },
  {
    name: "a ready job also among those of its key",
    invariant: "I1",
    job: "ready",
    run: 1,
    says: /exactly one place, this one in (ready \(run 1\), held \(run 1\)|held \(run 1\), ready \(run 1\))/,
    spoil: (run) => run(HELD, 1, "a key", "ready"),
  },
  {
    name: "a place of a job that waits",
    invariant: "I4",
    job: "ready",
    run: 1,
    says: /holds a place under a limit, but no lease lists this run/,
    spoil: (run) => run(SLOT, "a limit", "ready", 1),
  },
  {
    name: "a place of a run that ended",
    invariant: "I4",
    job: "done",
    run: 1,
    says: /holds a place under a limit, but no lease lists this run/,
    spoil: (run) => run(SLOT, "a limit", "done", 1),
  },
  {
    name: "a place of another run than the one that is held",
    invariant: "I4",
    job: "held",
    run: 2,
    says: /holds a place under a limit, but no lease lists this run/,
    spoil: (run) => run(SLOT, "a limit", "held", 2),
  },
];

/** A cancelled run that still goes on holds its place. */
export const HOLDS_ITS_PLACE = (run: Parameters<Seed["spoil"]>[0]): void =>
  run(SLOT, "a limit", "doomed", 1);

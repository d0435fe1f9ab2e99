/** Every violation that the audit can tell of, made by raw SQL in the prepared database. */
import { RUN_STATES } from "../../src/core/states.js";
import type { Violation } from "../../src/storage/driver.js";
import { id, NOW } from "./scenario.js";
import type { Spoil } from "./spoil.js";

export interface Seed {
  readonly name: string;
  readonly invariant: Violation["invariant"];
  readonly job: string | null;
  readonly run: number | null;
  /** A word of the sentence it is reported with: several sentences share an invariant. */
  readonly says: RegExp;
  readonly spoil: (run: Spoil) => void;
}

const PLACE = "select lane, prio, run_at, id, ?, 0, 0 from qudo_job where id = ?";
const READY = `insert into qudo_ready (lane, prio, run_at, id, run, fails, crashes) ${PLACE}`;
const DELAYED = `insert into qudo_delayed (lane, prio, run_at, id, run, fails, crashes) ${PLACE}`;
const OUTCOME = `insert into qudo_outcome (job_id, run, state, lane, writer, ended_at, fails, crashes)
  select id, ?, ?, lane, ?, ${NOW}, 0, 0 from qudo_job where id = ?`;
export const RUNNING = `insert into qudo_running (job_id, run, worker, started_at) values (?, ?, ?, ${NOW})`;
const UNIQUE = "insert into qudo_unique_key (hash, job_id) values (?, ?)";
const SOME_HASH = Buffer.alloc(32, 7);

const I1: readonly Seed[] = [
  {
    name: "a finished job in ready",
    invariant: "I1",
    job: "done",
    run: 1,
    says: /has ended \(done\) and still stands in ready/,
    spoil: (run) => run(READY, 2, "done"),
  },
  {
    name: "a finished job in delayed",
    invariant: "I1",
    job: "cancelled",
    run: 1,
    says: /has ended \(cancelled\) and still stands in delayed/,
    spoil: (run) => run(DELAYED, 2, "cancelled"),
  },
  {
    name: "a finished job in a lease",
    invariant: "I1",
    job: "done",
    run: 1,
    says: /has ended \(done\) and still stands in lease/,
    spoil: (run) => run.hold("l", "living", [["done", 2]]),
  },
  {
    name: "a living job nowhere",
    invariant: "I1",
    job: "ready",
    run: 1,
    says: /in nowhere/,
    spoil: (run) => run("delete from qudo_ready where id = ?", "ready"),
  },
  {
    name: "the lease of a living job deleted",
    invariant: "I1",
    job: "open, listed",
    run: 1,
    says: /in nowhere/,
    spoil: (run) => run("delete from qudo_lease where id = ?", "old lease"),
  },
  {
    name: "a living job both ready and delayed",
    invariant: "I1",
    job: "ready",
    run: 1,
    says: /in ready \(run 1\), delayed \(run 1\)/,
    spoil: (run) => run(DELAYED, 1, "ready"),
  },
  {
    name: "a living job ready and held",
    invariant: "I1",
    job: "held",
    run: 1,
    says: /in ready \(run 1\), lease \(run 1\)/,
    spoil: (run) => run(READY, 1, "held"),
  },
  {
    name: "a living job in two leases",
    invariant: "I1",
    job: "held",
    run: 1,
    says: /in lease \(run 1\), lease \(run 1\)/,
    spoil: (run) => run.hold("l", "living", [["held", 1]]),
  },
  {
    name: "a ready row without its job",
    invariant: "I1",
    job: "unheard of",
    run: 3,
    says: /without its job/,
    spoil: (run) =>
      run(
        "insert into qudo_ready (lane, prio, run_at, id, run, fails, crashes) values (1, 0, 0, ?, 3, 0, 0)",
        "unheard of",
      ),
  },
  {
    name: "a delayed row without its job",
    invariant: "I1",
    job: "unheard of",
    run: 3,
    says: /without its job/,
    spoil: (run) =>
      run(
        "insert into qudo_delayed (run_at, id, lane, prio, run, fails, crashes) values (0, ?, 1, 0, 3, 0, 0)",
        "unheard of",
      ),
  },
  {
    name: "a running row of a job that waits",
    invariant: "I1",
    job: "ready",
    run: 1,
    says: /no lease holds/,
    spoil: (run) => run(RUNNING, "ready", 1, "living"),
  },
  {
    name: "a running row of another run than the held one",
    invariant: "I1",
    job: "held",
    run: 2,
    says: /no lease holds/,
    spoil: (run) => run(RUNNING, "held", 2, "dying"),
  },
];

const I2: readonly Seed[] = [
  {
    name: "a ready row that skips a run",
    invariant: "I2",
    job: "ready",
    run: 2,
    says: /ready carries run 2, the next one is 1/,
    spoil: (run) => run("update qudo_ready set run = 2 where id = ?", "ready"),
  },
  {
    name: "a delayed row that skips a run",
    invariant: "I2",
    job: "later",
    run: 2,
    says: /delayed carries run 2/,
    spoil: (run) => run("update qudo_delayed set run = 2 where id = ?", "later"),
  },
  {
    name: "a lease that skips a run",
    invariant: "I2",
    job: "open, listed",
    run: 2,
    says: /lease carries run 2, the next one is 1/,
    spoil: (run) =>
      run.relist("old lease", [
        ["done, listed", 1],
        ["open, listed", 2],
      ]),
  },
  {
    name: "a ready row that its locator does not find: due time",
    invariant: "I2",
    job: "ready",
    run: 1,
    says: /its locator says/,
    spoil: (run) => run("update qudo_ready set run_at = run_at - 1 where id = ?", "ready"),
  },
  {
    name: "a ready row that its locator does not find: priority",
    invariant: "I2",
    job: "ready, urgent",
    run: 1,
    says: /its locator says/,
    spoil: (run) => run("update qudo_ready set prio = 0 where id = ?", "ready, urgent"),
  },
  {
    name: "a delayed row that its locator does not find",
    invariant: "I2",
    job: "later",
    run: 1,
    says: /its locator says/,
    spoil: (run) => run("update qudo_delayed set run_at = run_at + 1 where id = ?", "later"),
  },
  {
    name: "a ready row in another lane than its job, where cancel passes it by",
    invariant: "I2",
    job: "ready",
    run: 1,
    says: /ready keeps it in lane \d+, its job is of lane \d+/,
    spoil: (run) => run("update qudo_ready set lane = lane + 1 where id = ?", "ready"),
  },
  {
    name: "a job in a lane that does not exist, where nobody claims it",
    invariant: "I2",
    job: "ready",
    run: 1,
    says: /ready keeps it in lane 99, which does not exist/,
    spoil: (run) => {
      run("update qudo_job set lane = 99 where id = ?", "ready");
      run("update qudo_ready set lane = 99 where id = ?", "ready");
    },
  },
  {
    name: "a ready row whose failures are not those of its last outcome",
    invariant: "I2",
    job: "ready",
    run: 1,
    says: /counts 5 fails and 0 crashes, its last run 0 and 0/,
    spoil: (run) => run("update qudo_ready set fails = 5 where id = ?", "ready"),
  },
  {
    name: "a delayed row whose crashes are not those of its last outcome",
    invariant: "I2",
    job: "later",
    run: 1,
    says: /counts 0 fails and 2 crashes, its last run 0 and 0/,
    spoil: (run) => run("update qudo_delayed set crashes = 2 where id = ?", "later"),
  },
  {
    name: "an outcome after a gap",
    invariant: "I2",
    job: "done",
    run: 3,
    says: /run 3 has an outcome, run 2 has none/,
    spoil: (run) => run(OUTCOME, 3, RUN_STATES.done, "nobody", "done"),
  },
];

const I2_FRONT: readonly Seed[] = [
  {
    name: "a history cut at its front, of which too little is left",
    invariant: "I2",
    job: "done",
    run: 2,
    says: /its first runs were pruned, but only 19 are left/,
    spoil: (run) => history(run, "done", 20, 19),
  },
];

/** Runs that were released and then one that is done, of which pruning has left the last `kept`. */
export function history(run: Spoil, job: string, runs: number, kept: number): void {
  run("delete from qudo_outcome where job_id = ?", job);
  for (let n = runs - kept + 1; n <= runs; n++)
    run(OUTCOME, n, n === runs ? RUN_STATES.done : RUN_STATES.released, "nobody", job);
}

const I3: readonly Seed[] = [
  {
    name: "an end after the end",
    invariant: "I3",
    job: "done",
    run: 2,
    says: /cancelled was accepted after done/,
    spoil: (run) => run(OUTCOME, 2, RUN_STATES.cancelled, "nobody", "done"),
  },
  {
    name: "a requeue after done, which retry refuses",
    invariant: "I3",
    job: "done",
    run: 2,
    says: /requeued was accepted after done/,
    spoil: (run) => {
      run(OUTCOME, 2, RUN_STATES.requeued, "nobody", "done");
      run(READY, 3, "done");
    },
  },
  {
    name: "a state that no release knows",
    invariant: "I3",
    job: "done",
    run: 1,
    says: /its state 99 is none/,
    spoil: (run) => run("update qudo_outcome set state = 99 where job_id = ?", "done"),
  },
  {
    name: "a running row in the name of a session that does not hold the lease",
    invariant: "I3",
    job: "running",
    run: 1,
    says: /by a session that does not hold it/,
    spoil: (run) => run("update qudo_running set worker = ? where job_id = ?", "living", "running"),
  },
  {
    name: "a lease of no session",
    invariant: "I3",
    job: null,
    run: null,
    says: new RegExp(id("l")),
    spoil: (run) => run.hold("l", "nobody", []),
  },
];

const I4: readonly Seed[] = [
  {
    name: "a living job with a key beside its own",
    invariant: "I4",
    job: "ready, keyed",
    run: null,
    says: /that it was not enqueued with/,
    spoil: (run) => run(UNIQUE, SOME_HASH, "ready, keyed"),
  },
  {
    name: "a finished job with a unique key",
    invariant: "I4",
    job: "done",
    run: null,
    says: /holds a unique key/,
    spoil: (run) => run(UNIQUE, SOME_HASH, "done"),
  },
  {
    name: "a unique key of a job that is gone",
    invariant: "I4",
    job: "unheard of",
    run: null,
    says: /holds a unique key/,
    spoil: (run) => run(UNIQUE, SOME_HASH, "unheard of"),
  },
  {
    name: "a waiting job that lost its unique key",
    invariant: "I4",
    job: "ready, keyed",
    run: null,
    says: /without the unique key/,
    spoil: (run) => run("delete from qudo_unique_key where job_id = ?", "ready, keyed"),
  },
  {
    name: "a held job that lost its unique key",
    invariant: "I4",
    job: "running",
    run: null,
    says: /without the unique key/,
    spoil: (run) => run("delete from qudo_unique_key where job_id = ?", "running"),
  },
];

const I5: readonly Seed[] = [
  {
    name: "an outcome whose job is gone",
    invariant: "I5",
    job: "done",
    run: 1,
    says: /its job was pruned, its outcome was not/,
    spoil: (run) => run("delete from qudo_job where id = ?", "done"),
  },
  {
    name: "a pruned job that a lease lists",
    invariant: "I5",
    job: "done, listed",
    run: 1,
    says: /was pruned/,
    spoil: (run) => {
      run("delete from qudo_outcome where job_id = ?", "done, listed");
      run("delete from qudo_job where id = ?", "done, listed");
    },
  },
  {
    name: "lines of a job that is gone",
    invariant: "I5",
    job: "unheard of",
    run: 3,
    says: /lines of its log were not/,
    spoil: (run) =>
      run(
        "insert into qudo_job_log (job_id, run, seq, at, level, line) values (?, 3, 1, 0, 2, 'a line')",
        "unheard of",
      ),
  },
];

const I6: readonly Seed[] = [
  {
    name: "an end in the future, until which prune would keep it",
    invariant: "I6",
    job: "done",
    run: 1,
    says: /it ends only in 3600000 ms/,
    spoil: (run) =>
      run("update qudo_outcome set ended_at = ? where job_id = ?", NOW + 3_600_000, "done"),
  },
  {
    name: "a ready job that is not due",
    invariant: "I6",
    job: "ready",
    run: 1,
    says: /due only in 60000 ms/,
    spoil: (run) => {
      run("update qudo_job set run_at = ? where id = ?", NOW + 60_000, "ready");
      run("update qudo_ready set run_at = ? where id = ?", NOW + 60_000, "ready");
    },
  },
  {
    name: "a run that started after its end",
    invariant: "I6",
    job: "done",
    run: 1,
    says: /started after it ended/,
    spoil: (run) =>
      run("update qudo_outcome set started_at = ended_at + 1001 where job_id = ?", "done"),
  },
];

export const SEEDS: readonly Seed[] = [...I1, ...I2, ...I2_FRONT, ...I3, ...I4, ...I5, ...I6];

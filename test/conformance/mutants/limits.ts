/** Broken limits: places that are not counted, not given up, or given up too early; keys without turns; rates that leak. */
import { idBytes } from "../../../src/core/ids.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

const places: readonly Mutant[] = [
  {
    name: "limits-count-nothing",
    breaks: "Places that others hold are not counted.",
    caughtBy: [
      "limits.kind",
      "limits.queue",
      "limits.machine",
      "limits.at-once",
      "keys.running",
      "keys.whatever-kinds",
    ],
    rewrites: [
      change(SQL.slotsOf, "where", "where 0 and"),
      change(SQL.insertSlot, "insert into", "insert or replace into"),
    ],
  },
  {
    name: "limits-keep-places",
    breaks: "Who gives a run up keeps its place.",
    caughtBy: [
      "limits.kind",
      "limits.settle-and-claim",
      "limits.dead-worker",
      "limits.given-back",
      "limits.left-in-a-lease",
      "keys.running",
      "keys.dead-worker",
    ],
    rewrites: [change(SQL.freeSlots, "where", "where 0 and")],
  },
  {
    name: "limits-freed-by-cancel",
    breaks: "Who cancels a job frees its place, while its handler still runs.",
    caughtBy: ["limits.cancelled-runs"],
    wrap: (driver, db) => ({
      ...driver,
      async cancel(ids) {
        const outcomes = await driver.cancel(ids);
        for (const id of ids) db.prepare("delete from qudo_slot where job_id = ?").run(idBytes(id));
        return outcomes;
      },
    }),
  },
  {
    name: "limits-claim-before-settle",
    breaks: "A trip claims before it settles.",
    caughtBy: ["limits.settle-and-claim"],
    wrap: (driver) => ({
      ...driver,
      async trip({ settle, claim }) {
        const claimed = await driver.trip({ settle: [], claim });
        const { settled } = await driver.trip({ settle, claim: null });
        return { ...claimed, settled };
      },
    }),
  },
  {
    name: "limits-of-another-kind",
    breaks: "All kinds have the limits of one.",
    caughtBy: ["limits.apart"],
    rewrites: [change(SQL.lanes, "k.name = l.kind", "k.name = 'mail'")],
  },
  {
    name: "limits-of-queues-ignored",
    breaks: "A queue's limits are not looked at.",
    caughtBy: ["limits.queue", "keys.with-their-kind", "rates.queue"],
    rewrites: [change(SQL.lanes, "u.spec as of_queue", "null as of_queue")],
  },
  {
    name: "limits-all-one-machine",
    breaks: "All workers are taken to be on one machine.",
    caughtBy: ["limits.machine"],
    rewrites: [change(SQL.session, "host from", "'host' as host from")],
  },
  {
    name: "limits-first-word",
    breaks: "What was declared first stays.",
    caughtBy: ["limits.last-word", "limits.shown"],
    rewrites: [
      change(
        SQL.putRule,
        "set spec = excluded.spec, declared_at = excluded.declared_at",
        "set spec = spec",
      ),
    ],
  },
  {
    name: "limits-hidden",
    breaks: "What waits for its key's turn is not counted with the limits.",
    caughtBy: ["limits.shown"],
    rewrites: [change(SQL.heldOfKind, "count(*) as n", "0 as n")],
  },
];

const keys: readonly Mutant[] = [
  {
    name: "keys-of-their-queue",
    breaks: "A key is another one in each queue.",
    caughtBy: ["keys.of-their-kind"],
    wrap: (driver) => ({
      ...driver,
      insertJobs: (jobs) =>
        driver.insertJobs(
          jobs.map((job) =>
            job.limitKey == null ? job : { ...job, limitKey: `${job.queue} ${job.limitKey}` },
          ),
        ),
    }),
  },
  {
    name: "keys-without-turns",
    breaks: "Nobody remembers whose turn it was: the first key comes first, always.",
    caughtBy: ["keys.turns", "keys.turns-are-kept"],
    rewrites: [change(SQL.lanes, "k.turn", "null as turn")],
  },
  {
    name: "keys-take-twice-their-share",
    breaks: "A key gets more than its share.",
    caughtBy: ["keys.shares"],
    rewrites: [change(SQL.firstOfKey, "limit ?", "limit 2 * ?")],
  },
  {
    name: "keys-out-of-order",
    breaks: "Of one key the job comes first that was enqueued first, whatever its priority.",
    caughtBy: ["keys.order"],
    rewrites: [change(SQL.firstOfKey, "order by prio, run_at, id", "order by id")],
  },
  {
    name: "keys-lost-when-due",
    breaks: "A job that comes due forgets its key.",
    caughtBy: ["keys.come-back"],
    rewrites: [change(SQL.limitHash, "select limit_hash", "select null as limit_hash")],
  },
  {
    name: "keys-not-listed",
    breaks: "What waits for its key's turn is in no list.",
    caughtBy: ["keys.operated"],
    rewrites: [change(SQL.listKeyed, "where (", "where 0 and (")],
  },
  {
    name: "keys-only-where-declared",
    breaks: "Jobs with keys wait for ever where nobody declared a limit.",
    caughtBy: ["keys.without-limits"],
    rewrites: [
      change(
        SQL.lanes,
        "exists (select 1 from qudo_held h where h.lane = l.id) as keyed",
        "k.spec is not null as keyed",
      ),
    ],
  },
  {
    name: "keys-commit-each",
    breaks: "A claim writes each job in a transaction of its own.",
    caughtBy: ["keys.one-commit"],
    wrap: (driver) => ({
      ...driver,
      async trip(trip) {
        const outcome = await driver.trip(trip);
        const session = trip.claim?.session ?? "";
        for (const _ of outcome.claimed.slice(1)) await driver.heartbeat({ session, running: [] });
        return outcome;
      },
    }),
  },
];

const looks: readonly Mutant[] = [
  {
    name: "keys-not-due",
    breaks: "What waits for its key's turn is not listed as due.",
    caughtBy: ["keys.due"],
    rewrites: [change(SQL.dueKeyed, "where (", "where 0 and (")],
  },
  {
    name: "keys-not-counted",
    breaks: "What waits for its key's turn is not counted.",
    caughtBy: ["keys.due"],
    rewrites: [{ find: "from qudo_held w group", put: "from qudo_held w where 0 group" }],
  },
  {
    name: "keys-first-of-all",
    breaks: "Whoever waits for its key's turn is told to be the next one.",
    caughtBy: ["situation.limits"],
    rewrites: [change(SQL.aheadInKey, "where", "where 0 and")],
  },
  {
    name: "limits-untold",
    breaks: "Nobody is told which limits a job has to pass.",
    caughtBy: ["situation.limits"],
    wrap: (driver) => ({
      ...driver,
      async situation(id) {
        const found = await driver.situation(id);
        return found && { ...found, limits: [] };
      },
    }),
  },
];

const rates: readonly Mutant[] = [
  {
    name: "rates-always-full",
    breaks: "What was taken out of a bucket is forgotten.",
    caughtBy: [
      "rates.kind",
      "rates.burst",
      "rates.queue",
      "rates.key",
      "rates.both",
      "rates.resend",
    ],
    rewrites: [change(SQL.bucket, "where", "where 0 and")],
  },
  {
    name: "rates-dropped",
    breaks: "Buckets that are not full are thrown away, too.",
    caughtBy: ["rates.kind"],
    rewrites: [
      change(SQL.dropFullBuckets, "where full_at <= ?", "where full_at > 0 or full_at <= ?"),
    ],
  },
  {
    name: "rates-never-refilled",
    breaks: "A bucket is taken for as old as it was when it was first used.",
    caughtBy: ["rates.burst"],
    rewrites: [
      change(SQL.putBucket, "refilled_at = excluded.refilled_at", "refilled_at = refilled_at"),
    ],
  },
  {
    name: "rates-wait-untold",
    breaks: "Who asks in vain is not told when to come back.",
    caughtBy: ["rates.kind", "rates.key", "rates.both"],
    wrap: (driver) => ({
      ...driver,
      async trip(trip) {
        const { tokenInMs: _, ...outcome } = await driver.trip(trip);
        return outcome;
      },
    }),
  },
];

export const limitMutants: readonly Mutant[] = [...places, ...keys, ...looks, ...rates];

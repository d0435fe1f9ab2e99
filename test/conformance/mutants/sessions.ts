/** Broken sessions, reapers and releases. */
import { idBytes, idText } from "../../../src/core/ids.js";
import type { Driver, NewSession } from "../../../src/storage/driver.js";
import type { HandleLike } from "../../../src/storage/sqlite/index.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

/** A wrapper that tampers with the data after each reap. */
const afterReap =
  (sql: string): Mutant["wrap"] =>
  (driver, db) => ({
    ...driver,
    async reap(dead) {
      const outcomes = await driver.reap(dead);
      db.exec(sql);
      return outcomes;
    },
  });

/** Tampers with what is given back, by release and by settle alike. */
const afterRelease =
  (sql: string): Mutant["wrap"] =>
  (driver: Driver, db: HandleLike) => ({
    ...driver,
    async release(session, leases) {
      const released = await driver.release(session, leases);
      db.exec(sql);
      return released;
    },
    async trip(trip) {
      const outcome = await driver.trip(trip);
      const given = trip.settle.some((g) => g.settlements.some((s) => s.state === "released"));
      if (given) db.exec(sql);
      return outcome;
    },
  });

/** Jobs that wait right behind an outcome of this state. */
const waitingAfter = (state: number): string =>
  `from qudo_outcome o where o.job_id = qudo_ready.id and o.run = qudo_ready.run - 1 and o.state = ${state}`;

/** Gives outcomes and waiting rows of this state one failure more, while they wait. */
const oneMoreFailure = (state: number): string => `
  update qudo_outcome set fails = fails + 1 where state = ${state}
    and exists (select 1 from qudo_ready r where r.id = job_id and r.run = qudo_outcome.run + 1);
  update qudo_ready set fails = fails + 1 where exists (select 1 ${waitingAfter(state)})`;

export const sessionMutants: readonly Mutant[] = [
  {
    name: "session-opened-twice",
    breaks: "Opening a session again is an error.",
    caughtBy: ["sessions.open-again"],
    rewrites: [change(SQL.insertSession, "insert or ignore", "insert")],
  },
  {
    name: "sessions-without-leases",
    breaks: "The list of sessions does not say what they hold.",
    caughtBy: ["sessions.listed"],
    rewrites: [change(SQL.sessions, "where l.worker = w.id", "where 0")],
  },
  {
    name: "upserted-heartbeat",
    breaks: "A heartbeat brings an ended session back to life.",
    caughtBy: ["sessions.never-revived"],
    wrap: (driver) => {
      const opened = new Map<string, NewSession>();
      return {
        ...driver,
        async openSession(session) {
          opened.set(session.id, session);
          await driver.openSession(session);
        },
        async heartbeat(beat) {
          const session = opened.get(beat.session);
          if (session !== undefined) await driver.openSession(session);
          return driver.heartbeat(beat);
        },
      };
    },
  },
  {
    name: "heartbeat-without-beat",
    breaks: "A heartbeat answers and writes nothing.",
    caughtBy: ["sessions.heartbeat-renews", "reap.alive-by-its-beat"],
    rewrites: [change(SQL.beat, "beat = beat + 1, seen_at = ?", "seen_at = coalesce(seen_at, ?)")],
  },
  {
    name: "heartbeat-hides-fenced",
    breaks: "A heartbeat does not tell which runs others have decided.",
    caughtBy: ["sessions.heartbeat-fences", "cancel.held"],
    wrap: (driver) => ({
      ...driver,
      heartbeat: async (beat) => ({ ...(await driver.heartbeat(beat)), fenced: [] }),
    }),
  },
  {
    name: "heartbeat-hides-leases",
    breaks: "A heartbeat does not tell which leases the database has.",
    caughtBy: ["sessions.heartbeat-names-leases"],
    wrap: (driver) => ({
      ...driver,
      heartbeat: async (beat) => ({ ...(await driver.heartbeat(beat)), leases: [] }),
    }),
  },
  {
    name: "heartbeat-drops-cancelled",
    breaks: "A heartbeat removes a lease though its worker still runs a cancelled run of it.",
    caughtBy: ["sessions.heartbeat-keeps-what-runs"],
    wrap: (driver, db) => ({
      ...driver,
      async heartbeat(beat) {
        const answer = await driver.heartbeat(beat);
        if (answer.fenced.length > 0)
          db.prepare("delete from qudo_lease where worker = ?").run(idBytes(beat.session));
        return answer;
      },
    }),
  },
  {
    name: "heartbeat-keeps-finished",
    breaks: "A finished lease that nobody closed is named for ever and never removed.",
    caughtBy: ["sessions.heartbeat-drops-finished"],
    wrap: (driver, db) => ({
      ...driver,
      async heartbeat(beat) {
        db.exec("create temp table kept as select * from qudo_lease");
        const answer = await driver.heartbeat(beat);
        db.exec("insert or ignore into qudo_lease select * from kept; drop table kept");
        const leases = db
          .prepare("select id from qudo_lease where worker = ?")
          .all(idBytes(beat.session)) as { id: Uint8Array }[];
        return { ...answer, leases: leases.map(({ id }) => idText(id)) };
      },
    }),
  },
  {
    name: "heartbeat-fences-its-own",
    breaks: "A run that has an outcome is called fenced, whoever wrote it.",
    caughtBy: ["sessions.own-outcomes-are-not-fenced"],
    wrap: (driver, db) => ({
      ...driver,
      async heartbeat(beat) {
        const decided = db.prepare("select 1 from qudo_outcome where job_id = ? and run = ?");
        const fenced = beat.running.filter(
          ({ job, run }) => decided.get(idBytes(job), run) !== undefined,
        );
        return { ...(await driver.heartbeat(beat)), fenced };
      },
    }),
  },
  {
    name: "close-drops-leases",
    breaks: "A session ends with all it holds, and the jobs are gone.",
    caughtBy: ["sessions.close"],
    wrap: (driver, db) => ({
      ...driver,
      async closeSession(session) {
        db.prepare("delete from qudo_lease where worker = ?").run(idBytes(session));
        return driver.closeSession(session);
      },
    }),
  },
  {
    name: "unfenced-reap",
    breaks: "A session is reaped though its beat has changed since it was judged.",
    caughtBy: ["reap.alive-by-its-beat", "reap.in-order"],
    wrap: (driver) => ({
      ...driver,
      async reap(dead) {
        const beats = new Map((await driver.sessions()).map((s) => [s.id, s.beat]));
        return driver.reap(dead.map((d) => ({ ...d, beat: beats.get(d.id) ?? d.beat })));
      },
    }),
  },
  {
    name: "reap-without-lease-time",
    breaks: "A session is reaped as soon as it is asked for, however fresh its heartbeat.",
    caughtBy: ["reap.alive-by-its-time"],
    wrap: (driver) => ({
      ...driver,
      reap: (dead) => driver.reap(dead.map((d) => ({ ...d, cause: "gone" }))),
    }),
  },
  {
    name: "reap-forgets-jobs",
    breaks: "Leases of a dead session are deleted, and their jobs with them.",
    caughtBy: ["reap.jobs-come-back", "reap.once", "look.states"],
    wrap: (driver, db) => ({
      ...driver,
      async reap(dead) {
        for (const { id } of dead)
          db.prepare("delete from qudo_lease where worker = ?").run(idBytes(id));
        return driver.reap(dead);
      },
    }),
  },
  {
    name: "reap-decides-the-decided",
    breaks: "Reaping counts a crash for every run of the lease, ended or not.",
    caughtBy: ["reap.settled-stay-settled"],
    wrap: (driver) => ({
      ...driver,
      async reap(dead) {
        const before = await driver.counts({});
        const outcomes = await driver.reap(dead);
        const ended = before.reduce((n, lane) => n + lane.done + lane.cancelled, 0);
        return outcomes.map((o) =>
          o.status === "reaped" && o.decided.crashed !== undefined
            ? { ...o, decided: { ...o.decided, crashed: o.decided.crashed + ended } }
            : o,
        );
      },
    }),
  },
  {
    name: "crash-counts-as-failure",
    breaks: "A crash costs an attempt.",
    caughtBy: ["reap.crash-costs-no-attempt", "reap.jobs-come-back"],
    wrap: afterReap(oneMoreFailure(5)),
  },
  {
    name: "crash-budget-ignored",
    breaks: "A job that kills its worker comes back for ever.",
    caughtBy: ["reap.crash-budget", "unique.freed-by-crashes"],
    wrap: afterReap(`
      insert into qudo_ready (lane, prio, run_at, id, run, fails, crashes)
        select j.lane, j.prio, o.ended_at, j.id, o.run + 1, o.fails, o.crashes
        from qudo_outcome o join qudo_job j on j.id = o.job_id where o.state = 3 and o.reason = 2;
      insert into qudo_unique_key (hash, job_id) select unique_hash, id from qudo_job
        where unique_hash is not null and id in (select job_id from qudo_outcome where reason = 2);
      update qudo_outcome set state = 5, reason = null, next_at = ended_at where state = 3 and reason = 2`),
  },
  {
    name: "innocent-condemned",
    breaks: "Every job of a dead session counts a crash, seen running or not.",
    caughtBy: ["reap.innocents"],
    rewrites: [
      {
        find: SQL.running,
        put: "select 0 as started_at where ?1 is not null and ?2 is not null",
      },
    ],
  },
  {
    name: "release-costs-attempt",
    breaks: "Giving a job back costs an attempt.",
    caughtBy: ["release.costs-nothing"],
    wrap: afterRelease(oneMoreFailure(6)),
  },
  {
    name: "release-loses-place",
    breaks: "A job given back goes to the end of the line.",
    caughtBy: ["release.keeps-its-place", "release.place-of-a-later-run"],
    wrap: afterRelease(`
      update qudo_ready set run_at = (select o.ended_at ${waitingAfter(6)})
        where exists (select 1 ${waitingAfter(6)});
      update qudo_outcome set next_at = ended_at where state = 6`),
  },
  {
    name: "release-of-anybody",
    breaks: "Whoever names a lease can give it back.",
    caughtBy: ["release.own-leases-only"],
    wrap: (driver, db) => ({
      ...driver,
      async release(session, leases) {
        for (const lease of leases)
          db.prepare("update qudo_lease set worker = ? where id = ?").run(
            idBytes(session),
            idBytes(lease),
          );
        return driver.release(session, leases);
      },
    }),
  },
  {
    name: "release-counts-leases",
    breaks: "Release answers with the number of leases, not of jobs given back.",
    caughtBy: ["release.unfinished-only"],
    wrap: (driver) => ({
      ...driver,
      release: async (session, leases) => {
        await driver.release(session, leases);
        return leases.length;
      },
    }),
  },
];

/** Invariants I1 to I6 of the protocol, looked for in the data. What `qudo doctor` prints, and what every fault test ends with. */
import { idText } from "../../core/ids.js";
import { isTerminal, RUN_STATES, runStateOf } from "../../core/states.js";
import type { Violation } from "../driver.js";
import { decodeLease } from "../sql/lease.js";
import type { Connection } from "./connection.js";
import { read, type Engine } from "./engine.js";
import { SQL } from "./statements.js";

export function audit(engine: Engine): Promise<Violation[]> {
  return read(engine, (now) => {
    const { db } = engine;
    const places = findPlaces(db);
    return [
      ...checkPlaces(db, places),
      ...checkRuns(db, places),
      ...checkFence(db),
      ...checkKeys(db, places),
      ...checkKept(db),
      ...checkTimes(db, now),
    ];
  });
}

interface Standing {
  where: "ready" | "delayed" | "lease";
  run: number;
  runAt: number | null;
  prio: number | null;
}

/** Every place a job stands in, by id in hex. Decided runs still listed in a lease stand nowhere. */
function findPlaces(db: Connection): Map<string, Standing[]> {
  const places = new Map<string, Standing[]>();
  const add = (id: Uint8Array, standing: Standing): void => {
    const key = hex(id);
    const list = places.get(key);
    if (list === undefined) places.set(key, [standing]);
    else list.push(standing);
  };
  for (const where of ["ready", "delayed"] as const)
    for (const row of db.all<{ id: Uint8Array; run: number; run_at: number; prio: number }>(
      `select id, run, run_at, prio from qudo_${where}`,
    ))
      add(row.id, { where, run: row.run, runAt: row.run_at, prio: row.prio });
  for (const { jobs } of db.all<{ jobs: Uint8Array }>("select jobs from qudo_lease"))
    for (const { id, run } of decodeLease(jobs))
      if (db.get(SQL.outcome, id, run) === undefined)
        add(id, { where: "lease", run, runAt: null, prio: null });
  return places;
}

interface JobEnd {
  id: Uint8Array;
  run: number | null;
  state: number | null;
}

const JOB_ENDS = `select j.id, o.run, o.state from qudo_job j left join qudo_outcome o on o.job_id = j.id
  and o.run = (select max(run) from qudo_outcome where job_id = j.id)`;

function* checkPlaces(db: Connection, places: Map<string, Standing[]>): Generator<Violation> {
  for (const { id, run, state } of db.all<JobEnd>(JOB_ENDS)) {
    const found = places.get(hex(id)) ?? [];
    const ended = state !== null && isTerminal(runStateOf(state));
    const names = found.map((p) => `${p.where} (run ${p.run})`).join(", ") || "nowhere";
    if (ended && found.length > 0)
      yield violation(
        "I1",
        id,
        run,
        `it has ended (${runStateOf(state)}) and still stands in ${names}`,
      );
    if (!ended && found.length !== 1)
      yield violation(
        "I1",
        id,
        (run ?? 0) + 1,
        `a living job stands in exactly one place, this one in ${names}`,
      );
  }
  const orphans = `select id, run from qudo_ready w where not exists (select 1 from qudo_job j where j.id = w.id)
    union all select id, run from qudo_delayed w where not exists (select 1 from qudo_job j where j.id = w.id)`;
  for (const row of db.all<{ id: Uint8Array; run: number }>(orphans))
    yield violation("I1", row.id, row.run, "a waiting row without its job");
  for (const row of db.all<{ job_id: Uint8Array; run: number }>(
    "select job_id, run from qudo_running",
  ))
    if (!(places.get(hex(row.job_id)) ?? []).some((p) => p.where === "lease" && p.run === row.run))
      yield violation("I1", row.job_id, row.run, "shown as running, but no lease holds this run");
}

function* checkRuns(db: Connection, places: Map<string, Standing[]>): Generator<Violation> {
  for (const { id, run } of db.all<JobEnd>(JOB_ENDS))
    for (const found of places.get(hex(id)) ?? []) {
      const next = (run ?? 0) + 1;
      if (found.run !== next) {
        yield violation(
          "I2",
          id,
          found.run,
          `${found.where} carries run ${found.run}, the next one is ${next}`,
        );
        continue;
      }
      const at = db.get<{ run_at: number; prio: number }>(SQL.place, found.run, id)!;
      if (found.runAt !== null && (found.runAt !== at.run_at || found.prio !== at.prio))
        yield violation(
          "I2",
          id,
          found.run,
          `${found.where} keeps it at (${found.prio}, ${found.runAt}), its locator says (${at.prio}, ${at.run_at})`,
        );
    }
  const gaps = `select o.job_id, o.run from qudo_outcome o where o.run > 1
    and not exists (select 1 from qudo_outcome p where p.job_id = o.job_id and p.run = o.run - 1)
    and exists (select 1 from qudo_outcome p where p.job_id = o.job_id and p.run < o.run)`;
  for (const row of db.all<{ job_id: Uint8Array; run: number }>(gaps))
    yield violation(
      "I2",
      row.job_id,
      row.run,
      `run ${row.run} has an outcome, run ${row.run - 1} has none`,
    );
}

function* checkFence(db: Connection): Generator<Violation> {
  const revived = `select n.job_id, n.run, o.state, n.state as later from qudo_outcome n
    join qudo_outcome o on o.job_id = n.job_id and o.run = n.run - 1
    where o.state in (${RUN_STATES.done}, ${RUN_STATES.abandoned}, ${RUN_STATES.cancelled}, ${RUN_STATES.moved})
      and n.state <> ${RUN_STATES.requeued}`;
  for (const row of db.all<{ job_id: Uint8Array; run: number; state: number; later: number }>(
    revived,
  ))
    yield violation(
      "I3",
      row.job_id,
      row.run,
      `${runStateOf(row.later)} was accepted after ${runStateOf(row.state)}, which ends a job`,
    );
  const ownerless =
    "select id from qudo_lease l where not exists (select 1 from qudo_worker w where w.id = l.worker)";
  for (const row of db.all<{ id: Uint8Array }>(ownerless))
    yield violation(
      "I3",
      null,
      null,
      `the lease ${idText(row.id)} belongs to no session: settles through it cannot be fenced`,
    );
}

function* checkKeys(db: Connection, places: Map<string, Standing[]>): Generator<Violation> {
  const leased = leasedIds(db);
  for (const { job_id: id } of db.all<{ job_id: Uint8Array }>("select job_id from qudo_unique_key"))
    if (!places.has(hex(id)) && !leased.has(hex(id)))
      yield violation(
        "I4",
        id,
        null,
        "it holds a unique key, but neither waits nor is held by a worker",
      );
  const keyless = `select j.id from qudo_job j where j.unique_hash is not null
    and not exists (select 1 from qudo_unique_key u where u.job_id = j.id and u.hash = j.unique_hash)`;
  for (const { id } of db.all<{ id: Uint8Array }>(keyless))
    if (places.has(hex(id)))
      yield violation("I4", id, null, "it lives without the unique key it was enqueued with");
}

function leasedIds(db: Connection): Set<string> {
  const ids = new Set<string>();
  for (const { jobs } of db.all<{ jobs: Uint8Array }>("select jobs from qudo_lease"))
    for (const { id } of decodeLease(jobs)) ids.add(hex(id));
  return ids;
}

function* checkKept(db: Connection): Generator<Violation> {
  for (const { id: lease, jobs } of db.all<{ id: Uint8Array; jobs: Uint8Array }>(
    "select id, jobs from qudo_lease",
  ))
    for (const { id, run } of decodeLease(jobs))
      if (db.get(SQL.jobExists, id) === undefined)
        yield violation("I5", id, run, `the lease ${idText(lease)} lists it, but it was pruned`);
}

/** Clocks of hosts are set back now and then; a second is no violation. */
const SLACK_MS = 1_000;

function* checkTimes(db: Connection, now: number): Generator<Violation> {
  for (const row of db.all<{ id: Uint8Array; run: number; run_at: number }>(
    "select id, run, run_at from qudo_ready where run_at > ?",
    now + SLACK_MS,
  ))
    yield violation("I6", row.id, row.run, `ready now, but due only in ${row.run_at - now} ms`);
  for (const row of db.all<{ job_id: Uint8Array; run: number }>(
    "select job_id, run from qudo_outcome where started_at > ended_at + ?",
    SLACK_MS,
  ))
    yield violation("I6", row.job_id, row.run, "it started after it ended");
}

function violation(
  invariant: Violation["invariant"],
  id: Uint8Array | null,
  run: number | null,
  detail: string,
): Violation {
  return { invariant, job: id === null ? null : idText(id), run, detail };
}

const hex = (id: Uint8Array): string => Buffer.from(id).toString("hex");

/**
 * Numbered migrations. Each runs once, inside one BEGIN IMMEDIATE that is also the lock: of many processes that come at once
 * one migrates, the others find it done. What a table is for stands in docs/internals.md, "The data model".
 */
import { DatabaseError } from "../../core/errors.js";
import type { MigrationReport } from "../driver.js";
import { newId } from "../ids.js";
import { migrationScript } from "../sql/script.js";
import type { Connection } from "./connection.js";
import { SQL } from "./statements.js";

const MIGRATIONS: readonly string[] = [
  /* 1 */ `
  create table qudo_meta (name text primary key not null, value text not null) strict, without rowid;

  create table qudo_lane (
    id integer primary key, queue text not null, kind text not null, paused_at integer,
    unique (queue, kind)
  ) strict;

  create table qudo_queue (
    name text primary key not null, paused_at integer, settings text
  ) strict, without rowid;

  create table qudo_job (
    id blob primary key not null, lane integer not null, prio integer not null, run_at integer not null,
    created_at integer not null, max_attempts integer not null, timeout_ms integer, expires_at integer, keep_ms integer,
    payload_text text, payload_bin blob, codec integer not null, payload_version integer not null,
    unique_text text, unique_hash blob, limit_key text, limit_hash blob, group_id blob, schedule_id blob, slot integer,
    origin_id blob, origin_run integer, meta text, opts text
  ) strict;
  create unique index qudo_job_origin on qudo_job (origin_id, origin_run) where origin_id is not null;

  create table qudo_ready (
    lane integer not null, prio integer not null, run_at integer not null, id blob not null,
    run integer not null, fails integer not null, crashes integer not null,
    primary key (lane, prio, run_at, id)
  ) strict, without rowid;

  create table qudo_delayed (
    run_at integer not null, id blob not null, lane integer not null, prio integer not null,
    run integer not null, fails integer not null, crashes integer not null,
    primary key (run_at, id)
  ) strict, without rowid;

  create table qudo_worker (
    id blob primary key not null, name text not null, host text not null, pid integer not null, process text,
    lease_ms integer not null, beat integer not null, seen_at integer not null, started_at integer not null,
    kinds text not null, version text not null
  ) strict, without rowid;

  create table qudo_lease (
    id blob primary key not null, worker blob not null references qudo_worker (id),
    claimed_at integer not null, jobs blob not null
  ) strict, without rowid;
  create index qudo_lease_worker on qudo_lease (worker);

  create table qudo_running (
    job_id blob not null, run integer not null, worker blob not null, started_at integer not null, progress text,
    primary key (job_id, run)
  ) strict, without rowid;
  create index qudo_running_started on qudo_running (started_at);

  create table qudo_outcome (
    job_id blob not null, run integer not null, state integer not null, lane integer not null, reason integer,
    writer blob not null, worker blob, started_at integer, ended_at integer not null,
    fails integer not null, crashes integer not null, next_at integer, next_prio integer, result text, error text,
    primary key (job_id, run)
  ) strict, without rowid;
  create index qudo_outcome_ended on qudo_outcome (ended_at, job_id, run);

  create table qudo_unique_key (
    hash blob primary key not null, job_id blob not null
  ) strict, without rowid;
  create index qudo_unique_key_job on qudo_unique_key (job_id);
  `,
  /* 2: keep times of a job's own, log lines, counts per minute */ `
  alter table qudo_job add column keep_other_ms integer;
  alter table qudo_outcome add column prune_at integer;
  create index qudo_outcome_prune on qudo_outcome (prune_at, job_id, run) where prune_at is not null;

  create table qudo_job_log (
    job_id blob not null, run integer not null, seq integer not null, at integer not null, level integer not null,
    line text not null, primary key (job_id, run, seq)
  ) strict, without rowid;

  create table qudo_tally (
    minute integer not null, lane integer not null, event integer not null, session blob not null, n integer not null,
    primary key (minute, lane, event, session)
  ) strict, without rowid;
  `,
  /* 3: limits; what is declared, what waits for its key's turn, places that runs hold, tokens that are left */ `
  create table qudo_rule (
    scope integer not null, name text not null, spec text not null, declared_at integer not null, turn blob,
    primary key (scope, name)
  ) strict, without rowid;

  create table qudo_held (
    lane integer not null, limit_hash blob not null, prio integer not null, run_at integer not null, id blob not null,
    run integer not null, fails integer not null, crashes integer not null,
    primary key (lane, limit_hash, prio, run_at, id)
  ) strict, without rowid;

  create table qudo_slot (
    limit_hash blob not null, n integer not null, job_id blob not null, run integer not null,
    primary key (limit_hash, n)
  ) strict, without rowid;
  create index qudo_slot_job on qudo_slot (job_id, run);

  create table qudo_bucket (
    limit_hash blob primary key not null, tokens integer not null, refilled_at integer not null, full_at integer not null
  ) strict, without rowid;
  create index qudo_bucket_full on qudo_bucket (full_at);
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Null when the file holds no qudo tables. */
export function schemaVersion(db: Connection): number | null {
  const table = db.get("select 1 from sqlite_master where type = 'table' and name = 'qudo_meta'");
  if (table === undefined) return null;
  const row = db.get<{ value: string }>(
    "select value from qudo_meta where name = 'schema_version'",
  );
  return row === undefined ? null : Number(row.value);
}

export async function migrate(db: Connection): Promise<MigrationReport> {
  const current = await db.read(() => schemaVersion(db));
  if (current === SCHEMA_VERSION) return { from: current, to: current };
  refuseNewer(current, db.path);
  await db.useWal();
  return db.write(() => upgrade(db));
}

/** The same as a text. */
export function migrationSql(db: Connection): string {
  const from = schemaVersion(db);
  refuseNewer(from, db.path);
  const statements = MIGRATIONS.slice(from ?? 0).map((ddl) => ddl.trim().replace(/;$/, ""));
  return migrationScript({ from, to: SCHEMA_VERSION, meta: "qudo_meta", statements });
}

/** The same for a connection that answers at once. */
export function migrateNow(db: Connection): void {
  const current = schemaVersion(db);
  if (current === SCHEMA_VERSION) return;
  refuseNewer(current, db.path);
  db.useWalNow();
  db.writeNow(() => upgrade(db));
}

function upgrade(db: Connection): MigrationReport {
  const from = schemaVersion(db);
  refuseNewer(from, db.path);
  for (const ddl of MIGRATIONS.slice(from ?? 0)) db.handle.exec(ddl);
  db.run(SQL.addMeta, "database_id", newId());
  db.run(
    "insert into qudo_meta (name, value) values ('schema_version', ?) on conflict (name) do update set value = excluded.value",
    String(SCHEMA_VERSION),
  );
  return { from, to: SCHEMA_VERSION };
}

/** What an older release must not touch. */
export function refuseNewer(version: number | null, path: string): void {
  if (version !== null && version > SCHEMA_VERSION)
    throw new DatabaseError(
      "QUDO_SCHEMA_TOO_NEW",
      `${path} has schema ${version}; this qudo knows up to ${SCHEMA_VERSION}. Update the qudo package here.`,
      false,
    );
}

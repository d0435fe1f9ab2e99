/**
 * Numbered migrations. Each runs once, in one transaction under an advisory lock: of many processes that come at once one
 * migrates, the others find it done. What a table is for stands in docs/internals.md, "The data model".
 */
import type { Tx } from "../sql/database.js";
import { raw, sql } from "../sql/query.js";

/** Where the tables are. Both are checked names. */
export interface Names {
  readonly schema: string;
  readonly prefix: string;
}

/** Statements of each migration, in order. */
export function migrations({ schema, prefix }: Names): string[][] {
  const t = (name: string): string => `"${schema}"."${prefix}${name}"`;
  const index = (name: string): string => `"${prefix}${name}"`;
  return [
    [
      `create table ${t("meta")} (name text collate "C" primary key, value text not null)`,
      `create table ${t("lane")} (
        id int generated always as identity primary key, queue text collate "C" not null, kind text collate "C" not null,
        paused_at bigint, unique (queue, kind))`,
      `create table ${t("queue")} (name text collate "C" primary key, paused_at bigint, settings text)`,
      `create table ${t("job")} (
        id uuid primary key, lane int not null, prio smallint not null, run_at bigint not null,
        created_at bigint not null, max_attempts int not null, timeout_ms bigint, expires_at bigint, keep_ms bigint,
        keep_other_ms bigint, payload_text text, payload_bin bytea, codec smallint not null,
        payload_version int not null, unique_text text, unique_hash bytea, limit_key text, limit_hash bytea,
        group_id uuid, schedule_id uuid, slot bigint, origin_id uuid, origin_run int, meta text, opts text)`,
      `create unique index ${index("job_origin")} on ${t("job")} (origin_id, origin_run) where origin_id is not null`,
      // Rows come and go all the time: dead ones are cleared away early, and without pauses.
      `create table ${t("ready")} (
        lane int, prio smallint, run_at bigint, id uuid, run int not null, fails int not null, crashes int not null,
        primary key (lane, prio, run_at, id))
        with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0)`,
      `create table ${t("delayed")} (
        run_at bigint, id uuid, lane int not null, prio smallint not null, run int not null, fails int not null,
        crashes int not null, primary key (run_at, id))`,
      `create table ${t("worker")} (
        id uuid primary key, name text not null, host text not null, pid int not null, process text,
        lease_ms bigint not null, beat bigint not null, seen_at bigint not null, started_at bigint not null,
        kinds text not null, version text not null)`,
      `create table ${t("lease")} (
        id uuid primary key, worker uuid not null references ${t("worker")} (id), claimed_at bigint not null,
        ids uuid[] not null, runs int[] not null)`,
      `create index ${index("lease_worker")} on ${t("lease")} (worker)`,
      `create table ${t("running")} (
        job_id uuid, run int, worker uuid not null, started_at bigint not null, progress text, primary key (job_id, run))`,
      `create index ${index("running_started")} on ${t("running")} (started_at)`,
      `create table ${t("outcome")} (
        job_id uuid, run int, state smallint not null, lane int not null, reason smallint, writer uuid not null,
        worker uuid, started_at bigint, ended_at bigint not null, fails int not null, crashes int not null,
        next_at bigint, next_prio smallint, result text, error text, prune_at bigint, primary key (job_id, run))`,
      `create index ${index("outcome_ended")} on ${t("outcome")} (ended_at, job_id, run)`,
      `create index ${index("outcome_prune")} on ${t("outcome")} (prune_at, job_id, run) where prune_at is not null`,
      `create table ${t("unique_key")} (hash bytea primary key, job_id uuid not null)`,
      `create index ${index("unique_key_job")} on ${t("unique_key")} (job_id)`,
      `create table ${t("job_log")} (
        job_id uuid, run int, seq int, at bigint not null, level smallint not null, line text not null,
        primary key (job_id, run, seq))`,
      `create table ${t("tally")} (
        minute bigint, lane int, event smallint, session uuid, n bigint not null,
        primary key (minute, lane, event, session))`,
    ],
    limits(t, index),
  ];
}

/** What is declared, what waits for its key's turn, places that runs hold, tokens that are left. */
function limits(t: (name: string) => string, index: (name: string) => string): string[] {
  return [
    `create table ${t("rule")} (
      scope smallint, name text collate "C", spec text not null, declared_at bigint not null, turn uuid,
      primary key (scope, name)) with (fillfactor = 50)`,
    `create table ${t("held")} (
      lane int, limit_hash uuid, prio smallint, run_at bigint, id uuid, run int not null, fails int not null,
      crashes int not null, primary key (lane, limit_hash, prio, run_at, id))
      with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0)`,
    `create table ${t("slot")} (
      limit_hash uuid, n int, job_id uuid not null, run int not null, primary key (limit_hash, n))
      with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0)`,
    `create index ${index("slot_job")} on ${t("slot")} (job_id, run)`,
    `create table ${t("bucket")} (
      limit_hash uuid primary key, tokens bigint not null, refilled_at bigint not null, full_at bigint not null)`,
    `create index ${index("bucket_full")} on ${t("bucket")} (full_at)`,
  ];
}

export async function tablesExist(tx: Tx, { schema, prefix }: Names): Promise<boolean> {
  const found = await tx.all(
    sql`select to_regclass(${`"${schema}"."${prefix}meta"`}) is not null as found`,
    { found: "flag" },
  );
  return found[0]!.found;
}

/** Until the end of the transaction nobody else migrates these tables. Makes the schema that holds them. */
export async function lockForMigration(tx: Tx, { schema, prefix }: Names): Promise<void> {
  await tx.all(
    sql`select pg_advisory_xact_lock(hashtextextended(${`qudo ${schema}.${prefix}`}, 0))::text as locked`,
    { locked: "text" },
  );
  const [found] = await tx.all(sql`select to_regnamespace(${`"${schema}"`}) is not null as found`, {
    found: "flag",
  });
  // Asked first: "if not exists" wants the right to make schemas even where there is nothing to make.
  if (!found!.found) await tx.run(raw(`create schema "${schema}"`));
}

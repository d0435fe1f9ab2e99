/**
 * Numbered migrations. These servers commit each DDL statement by itself, so that each can be repeated, and one whose process
 * dies half way is gone through again. What a table is for stands in docs/internals.md, "The data model".
 */
import type { Tx } from "../sql/database.js";
import { sql } from "../sql/query.js";
import type { Flavour } from "./flavour.js";

/** `prefix` is a checked name. The statements that lead to version 1, to version 2, … */
export function migrations(prefix: string, flavour: Flavour): readonly (readonly string[])[] {
  const table = ([name, columns]: readonly [string, string]): string =>
    `create table if not exists \`${prefix}${name}\` (${columns.replaceAll("{prefix}", prefix)})
      engine = InnoDB row_format = dynamic default charset = utf8mb4 collate = ${flavour.collation}`;
  return [FIRST.map(table), LIMITS.map(table)];
}

const FIRST: readonly (readonly [name: string, columns: string])[] = [
  ["meta", "name varchar(64) primary key, value varchar(255) not null"],
  [
    "lane",
    `id int auto_increment primary key, queue varchar(128) not null, kind varchar(128) not null, paused_at bigint,
    unique key lane_name (queue, kind)`,
  ],
  ["queue", "name varchar(128) primary key, paused_at bigint, settings text"],
  [
    "job",
    `id binary(16) primary key, lane int not null, prio smallint not null, run_at bigint not null,
    created_at bigint not null, max_attempts int not null, timeout_ms bigint, expires_at bigint, keep_ms bigint,
    keep_other_ms bigint, payload_text mediumtext, payload_bin mediumblob, codec smallint not null,
    payload_version int not null, unique_text text, unique_hash binary(32), limit_key text, limit_hash binary(32),
    group_id binary(16), schedule_id binary(16), slot bigint, origin_id binary(16), origin_run int, meta mediumtext,
    opts mediumtext, unique key job_origin (origin_id, origin_run)`,
  ],
  [
    "ready",
    `lane int, prio smallint, run_at bigint, id binary(16), run int not null, fails int not null, crashes int not null,
    primary key (lane, prio, run_at, id)`,
  ],
  [
    "delayed",
    `run_at bigint, id binary(16), lane int not null, prio smallint not null, run int not null, fails int not null,
    crashes int not null, primary key (run_at, id)`,
  ],
  [
    "worker",
    `id binary(16) primary key, name text not null, host text not null, pid int not null, process text,
    lease_ms bigint not null, beat bigint not null, seen_at bigint not null, started_at bigint not null,
    kinds mediumtext not null, version text not null`,
  ],
  // The name of a foreign key belongs to the whole database, not to its table. `marks`: the dialect's markLeases.
  [
    "lease",
    `id binary(16) primary key, worker binary(16) not null, claimed_at bigint not null, jobs mediumblob not null,
    marks int not null default 0, key lease_worker (worker),
    constraint \`{prefix}lease_of_worker\` foreign key (worker) references \`{prefix}worker\` (id)`,
  ],
  [
    "running",
    `job_id binary(16), run int, worker binary(16) not null, started_at bigint not null, progress mediumtext,
    primary key (job_id, run), key running_started (started_at)`,
  ],
  [
    "outcome",
    `job_id binary(16), run int, state smallint not null, lane int not null, reason smallint,
    writer binary(16) not null, worker binary(16), started_at bigint, ended_at bigint not null, fails int not null,
    crashes int not null, next_at bigint, next_prio smallint, result mediumtext, error mediumtext, prune_at bigint,
    primary key (job_id, run), key outcome_ended (ended_at, job_id, run), key outcome_prune (prune_at, job_id, run)`,
  ],
  [
    "unique_key",
    "hash binary(32) primary key, job_id binary(16) not null, key unique_key_job (job_id)",
  ],
  [
    "job_log",
    `job_id binary(16), run int, seq int, at bigint not null, level smallint not null, line mediumtext not null,
    primary key (job_id, run, seq)`,
  ],
  [
    "tally",
    `minute bigint, lane int, event smallint, session binary(16), n bigint not null,
    primary key (minute, lane, event, session)`,
  ],
];

/** What is declared, what waits for its key's turn, places that runs hold, tokens that are left. */
const LIMITS: readonly (readonly [name: string, columns: string])[] = [
  [
    "rule",
    `scope smallint, name varchar(128), spec text not null, declared_at bigint not null, turn binary(16),
    primary key (scope, name)`,
  ],
  [
    "held",
    `lane int, limit_hash binary(16), prio smallint, run_at bigint, id binary(16), run int not null, fails int not null,
    crashes int not null, primary key (lane, limit_hash, prio, run_at, id)`,
  ],
  [
    "slot",
    `limit_hash binary(16), n int, job_id binary(16) not null, run int not null, primary key (limit_hash, n),
    key slot_job (job_id, run)`,
  ],
  [
    "bucket",
    `limit_hash binary(16) primary key, tokens bigint not null, refilled_at bigint not null, full_at bigint not null,
    key bucket_full (full_at)`,
  ],
];

/** Whether there are tables of this prefix. */
export async function tablesExist(tx: Tx, prefix: string): Promise<boolean> {
  const found = await tx.all(
    sql`select count(*) as n from information_schema.tables
      where table_schema = database() and table_name = ${`${prefix}meta`}`,
    { n: "int" },
  );
  return found[0]!.n > 0;
}

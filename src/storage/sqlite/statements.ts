/** What a claim has to know of a job, with payloads of up to two sizes: text and bytes. */
const CLAIMED = `j.created_at, j.max_attempts, j.timeout_ms, j.expires_at, j.codec, j.opts,
    coalesce(j.keep_ms, j.keep_other_ms) is not null as own_keep,
    coalesce(length(cast(j.payload_text as blob)), length(j.payload_bin), 0) as size,
    case when length(cast(j.payload_text as blob)) <= ? then j.payload_text end as payload_text,
    case when length(j.payload_bin) <= ? then j.payload_bin end as payload_bin`;

const PEEKED = `select r.prio, r.run_at, r.id, r.run, r.fails, r.crashes, ${CLAIMED}
    from qudo_ready r left join qudo_job j on j.id = r.id where r.lane = ?`;

/** Every statement of the hot path, each once. The mutation tests rewrite these by text, so that each clause is proved needed. */
export const SQL = {
  // — lanes
  laneId: "select id from qudo_lane where queue = ? and kind = ?",
  insertLane: "insert or ignore into qudo_lane (queue, kind) values (?, ?)",
  lanes: `select l.id, l.queue, l.kind, l.paused_at is not null or q.paused_at is not null as paused,
      k.spec as of_kind, u.spec as of_queue, k.turn, exists (select 1 from qudo_held h where h.lane = l.id) as keyed
    from qudo_lane l left join qudo_queue q on q.name = l.queue
    left join qudo_rule k on k.scope = 1 and k.name = l.kind
    left join qudo_rule u on u.scope = 2 and u.name = l.queue`,
  pauseQueue: `insert into qudo_queue (name, paused_at) values (?, ?)
    on conflict (name) do update set paused_at = excluded.paused_at where paused_at is null`,
  resumeQueue: "update qudo_queue set paused_at = null where name = ? and paused_at is not null",
  pauseLane: "update qudo_lane set paused_at = ? where id = ? and paused_at is null",
  resumeLane:
    "update qudo_lane set paused_at = null where queue = ? and kind = ? and paused_at is not null",

  // — who it is
  identity: "select name, value from qudo_meta where name in ('database_id', 'name', 'mode')",
  addMeta: "insert or ignore into qudo_meta (name, value) values (?, ?)",
  setMeta: `insert into qudo_meta (name, value) values (?, ?)
    on conflict (name) do update set value = excluded.value`,

  // — enqueue
  jobExists: "select 1 from qudo_job where id = ?",
  insertJob: `insert or ignore into qudo_job
    (id, lane, prio, run_at, created_at, max_attempts, timeout_ms, expires_at, keep_ms, keep_other_ms, payload_text,
     payload_bin, codec, payload_version, unique_text, unique_hash, opts, limit_key, limit_hash)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)`,
  /** Another job like one that is there, due now and without its expiry. */
  insertLike: `insert into qudo_job
    (id, lane, prio, run_at, created_at, max_attempts, timeout_ms, keep_ms, keep_other_ms, payload_text, payload_bin, codec,
     payload_version, unique_text, unique_hash, limit_key, limit_hash, origin_id, origin_run, meta, opts)
    select ?, lane, prio, ?, ?, max_attempts, timeout_ms, keep_ms, keep_other_ms, payload_text, payload_bin, codec,
     payload_version, unique_text, unique_hash, limit_key, limit_hash, ?, ?, meta, opts from qudo_job where id = ?`,
  origin: "select lane, prio, unique_hash, limit_hash from qudo_job where id = ?",
  insertReady:
    "insert into qudo_ready (lane, prio, run_at, id, run, fails, crashes) values (?, ?, ?, ?, ?, ?, ?)",
  insertDelayed:
    "insert into qudo_delayed (run_at, id, lane, prio, run, fails, crashes) values (?, ?, ?, ?, ?, ?, ?)",
  takeUniqueKey: "insert or ignore into qudo_unique_key (hash, job_id) values (?, ?)",
  uniqueHolder: "select job_id from qudo_unique_key where hash = ?",
  anyUniqueKey: "select 1 from qudo_unique_key limit 1",
  /** Only when the job has ended for good: a run given up late must not free the key of the job's next life. */
  freeUniqueKey: `delete from qudo_unique_key where job_id = ? and (
    select state from qudo_outcome where job_id = qudo_unique_key.job_id order by run desc limit 1) in (1, 3, 4, 9)`,

  // — claim
  session: "select beat, seen_at, host from qudo_worker where id = ?",
  /** What an idle claimer asks without the write lock. */
  leaseKnown: "select 1 from qudo_lease where id = ?",
  anyReady: "select 1 from qudo_ready where lane = ? limit 1",
  peek: `${PEEKED} order by r.prio, r.run_at, r.id limit ?`,
  peekAfter: `${PEEKED} and (r.prio, r.run_at, r.id) > (?, ?, ?) order by r.prio, r.run_at, r.id limit ?`,
  deleteReady: "delete from qudo_ready where lane = ? and prio = ? and run_at = ? and id = ?",
  /** All up to this one, in claim order. */
  deleteReadyTo: "delete from qudo_ready where lane = ? and (prio, run_at, id) <= (?, ?, ?)",
  claimedJob: `select ${CLAIMED} from qudo_job j where j.id = ?`,
  insertLease: "insert into qudo_lease (id, worker, claimed_at, jobs) values (?, ?, ?, ?)",
  lease: "select worker, jobs from qudo_lease where id = ?",
  leaseHolder: "select worker from qudo_lease where id = ?",
  deleteLease: "delete from qudo_lease where id = ?",

  // — limits
  rules: "select scope, name, spec, declared_at from qudo_rule order by scope, name",
  anyRule: "select 1 from qudo_rule limit 1",
  putRule: `insert into qudo_rule (scope, name, spec, declared_at) values (?, ?, ?, ?)
    on conflict (scope, name) do update set spec = excluded.spec, declared_at = excluded.declared_at`,
  /** Also of a kind that nobody has declared anything of: then there are no limits, but keys take turns all the same. */
  setTurn: `insert into qudo_rule (scope, name, spec, declared_at, turn) values (1, ?, '', ?, ?)
    on conflict (scope, name) do update set turn = excluded.turn`,
  limitHash: "select limit_hash from qudo_job where id = ?",
  insertHeld: `insert into qudo_held (lane, limit_hash, prio, run_at, id, run, fails, crashes)
    values (?, ?, ?, ?, ?, ?, ?, ?)`,
  deleteHeld:
    "delete from qudo_held where lane = ? and limit_hash = ? and prio = ? and run_at = ? and id = ?",
  keyAfter: `select limit_hash from qudo_held
    where lane = ? and limit_hash > ? order by limit_hash limit 1`,
  firstOfKey: `select lane, prio, run_at, id, run, fails, crashes, limit_hash from qudo_held
    where lane = ? and limit_hash = ? order by prio, run_at, id limit ?`,
  slotsOf: "select n from qudo_slot where limit_hash = ?",
  insertSlot: "insert into qudo_slot (limit_hash, n, job_id, run) values (?, ?, ?, ?)",
  anySlot: "select 1 from qudo_slot limit 1",
  freeSlots: "delete from qudo_slot where job_id = ? and run = ?",
  bucket: "select tokens, refilled_at from qudo_bucket where limit_hash = ?",
  putBucket: `insert into qudo_bucket (limit_hash, tokens, refilled_at, full_at) values (?, ?, ?, ?)
    on conflict (limit_hash) do update
      set tokens = excluded.tokens, refilled_at = excluded.refilled_at, full_at = excluded.full_at`,
  /** One that is full says what one that nobody keeps says. */
  dropFullBuckets: `delete from qudo_bucket where limit_hash in (
    select limit_hash from qudo_bucket where full_at <= ? order by full_at limit 20)`,
  limitKey: "select limit_key, limit_hash from qudo_job where id = ?",
  hosts: "select distinct host from qudo_worker order by host",
  heldOfKind: `select count(*) as n from qudo_held h
    where h.lane in (select id from qudo_lane where kind = ?)`,

  // — outcomes: the fence
  /** The last column is when a job with a keep time of its own for such an end may be pruned: null for all others. */
  insertOutcome: `insert or ignore into qudo_outcome
    (job_id, run, state, lane, reason, writer, worker, started_at, ended_at, fails, crashes, next_at, next_prio, result, error,
     prune_at)
    select id, ?, ?, lane, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
      ? + max(case ? when 1 then keep_ms when 3 then keep_other_ms when 4 then keep_other_ms when 9 then keep_other_ms end, ?)
    from qudo_job where id = ?`,
  /** The same of a job without keep times of its own, whose lane is known: it need not be looked at. */
  insertPlainOutcome: `insert or ignore into qudo_outcome
    (job_id, run, state, lane, reason, writer, worker, started_at, ended_at, fails, crashes, next_at, next_prio, result, error)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  outcome: "select state, writer from qudo_outcome where job_id = ? and run = ?",
  lastOutcome: `select run, state, fails, crashes, ended_at from qudo_outcome
    where job_id = ? order by run desc limit 1`,
  counters: "select fails, crashes from qudo_outcome where job_id = ? and run = ?",
  /** Where a waiting row of this run stands, or would stand: the locator. */
  place: `select j.lane, coalesce(o.next_prio, j.prio) as prio, coalesce(o.next_at, j.run_at) as run_at,
    o.next_prio, j.limit_hash from qudo_job j left join qudo_outcome o on o.job_id = j.id and o.run = ? - 1 where j.id = ?`,
  deleteDelayed: "delete from qudo_delayed where run_at = ? and id = ?",
  deleteRunning: "delete from qudo_running where job_id = ? and run = ?",

  // — running
  insertRunning:
    "insert or ignore into qudo_running (job_id, run, worker, started_at) values (?, ?, ?, ?)",
  setProgress: "update qudo_running set progress = ? where job_id = ? and run = ?",
  anyRunning: "select 1 from qudo_running limit 1",
  running: "select started_at, worker, progress from qudo_running where job_id = ? and run = ?",

  // — looking
  job: `select l.queue, l.kind, j.prio, j.run_at, j.created_at, j.max_attempts, j.timeout_ms, j.expires_at, j.keep_ms,
    j.keep_other_ms, j.opts, j.unique_text, j.codec, j.payload_text, j.payload_bin, j.origin_id, j.origin_run
    from qudo_job j join qudo_lane l on l.id = j.lane where j.id = ?`,
  leases: "select worker, jobs from qudo_lease",
  leaseJobs: "select id, jobs from qudo_lease where id = ?",
  leasesAfter: "select id, jobs from qudo_lease where id > ? order by id limit ?",
  /** Nothing for a run that was decided. */
  heldRun: `select j.lane, j.created_at, r.run is not null as running
    from qudo_job j left join qudo_running r on r.job_id = j.id and r.run = ?
    where j.id = ? and not exists (select 1 from qudo_outcome o where o.job_id = j.id and o.run = ?)`,
  // The inner look is cut first: so many rows are read and no more, whatever becomes of them.
  listReady: `select w.lane, w.prio, w.run_at, w.id, j.created_at, o.state from (
      select lane, prio, run_at, id, run from qudo_ready
      where lane = ? and (prio, run_at, id) > (?, ?, ?) order by prio, run_at, id limit ?) w
    left join qudo_job j on j.id = w.id left join qudo_outcome o on o.job_id = w.id and o.run = w.run - 1
    order by w.prio, w.run_at, w.id`,
  listKeyed: `select w.lane, w.limit_hash, w.prio, w.run_at, w.id, j.created_at, o.state from (
      select lane, limit_hash, prio, run_at, id, run from qudo_held
      where (lane, limit_hash, prio, run_at, id) > (?, ?, ?, ?, ?)
      order by lane, limit_hash, prio, run_at, id limit ?) w
    left join qudo_job j on j.id = w.id left join qudo_outcome o on o.job_id = w.id and o.run = w.run - 1
    order by w.lane, w.limit_hash, w.prio, w.run_at, w.id`,
  listDelayed: `select w.lane, w.prio, w.run_at, w.id, j.created_at, o.state from (
      select lane, prio, run_at, id, run from qudo_delayed
      where (run_at, id) > (?, ?) order by run_at, id limit ?) w
    left join qudo_job j on j.id = w.id left join qudo_outcome o on o.job_id = w.id and o.run = w.run - 1
    order by w.run_at, w.id`,
  listEnded: `select k.ended_at, k.job_id, k.run, o.state, o.lane, j.created_at,
      o.state in (1, 3, 4, 9)
        and not exists (select 1 from qudo_outcome n where n.job_id = k.job_id and n.run > k.run) as last
    from (select ended_at, job_id, run from qudo_outcome where (ended_at, job_id, run) < (?, ?, ?)
      order by ended_at desc, job_id desc, run desc limit ?) k
    join qudo_outcome o on o.job_id = k.job_id and o.run = k.run left join qudo_job j on j.id = k.job_id
    order by k.ended_at desc, k.job_id desc, k.run desc`,
  /** More conditions follow. */
  listRunning: `select r.job_id, r.run, r.worker, r.started_at, r.progress, l.queue, l.kind
    from qudo_running r join qudo_job j on j.id = r.job_id join qudo_lane l on l.id = j.lane
    where not exists (select 1 from qudo_outcome o where o.job_id = r.job_id and o.run = r.run)`,
  nextPrio: "select prio from qudo_ready where lane = ? and prio > ? order by prio limit 1",
  dueReady: `select lane, prio, run_at, id, run, fails, crashes from qudo_ready
    where lane = ? and prio = ? and (run_at, id) > (?, ?) and run_at >= ? and run_at < ? order by run_at, id limit ?`,
  /** The lanes follow. */
  dueDelayed: `select lane, prio, run_at, id, run, fails, crashes from qudo_delayed
    where (run_at, id) > (?, ?) and run_at >= ? and run_at < ?`,
  /** The lanes follow. Jobs of keys stand by their keys: all of them are read. */
  dueKeyed: `select lane, prio, run_at, id, run, fails, crashes from qudo_held
    where (run_at, id) > (?, ?) and run_at >= ? and run_at < ?`,
  isReady: "select 1 from qudo_ready where lane = ? and prio = ? and run_at = ? and id = ?",
  isKeyed:
    "select 1 from qudo_held where lane = ? and limit_hash = ? and prio = ? and run_at = ? and id = ?",
  isDelayed: "select 1 from qudo_delayed where run_at = ? and id = ?",
  pauses: `select l.queue, q.paused_at as queue_paused, l.paused_at as kind_paused
    from qudo_lane l left join qudo_queue q on q.name = l.queue where l.id = ?`,
  openLanesOf: "select id from qudo_lane where queue = ? and paused_at is null",
  ahead: `select count(*) as n from (
    select 1 from qudo_ready where lane = ? and (prio, run_at, id) < (?, ?, ?) limit ?)`,
  aheadInKey: `select count(*) as n from (
    select 1 from qudo_held where lane = ? and limit_hash = ? and (prio, run_at, id) < (?, ?, ?) limit ?)`,
  claims: "select claimed_at, jobs from qudo_lease",

  // — sessions
  insertSession: `insert or ignore into qudo_worker (id, name, host, pid, process, lease_ms, beat, seen_at, started_at, kinds, version)
    values (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)`,
  beat: "update qudo_worker set beat = beat + 1, seen_at = ? where id = ?",
  leasesOf: "select id, jobs from qudo_lease where worker = ?",
  deleteSession: "delete from qudo_worker where id = ?",
  deleteIdleSession: `delete from qudo_worker where id = ?
    and not exists (select 1 from qudo_lease where worker = qudo_worker.id)`,
  sessions: `select w.id, w.name, w.host, w.pid, w.process, w.lease_ms, w.beat, w.seen_at, w.started_at, w.kinds, w.version,
    (select count(*) from qudo_lease l where l.worker = w.id) as leases from qudo_worker w order by w.started_at, w.id`,

  // — log lines
  insertLine: `insert or ignore into qudo_job_log (job_id, run, seq, at, level, line)
    select id, ?, ?, ?, ?, ? from qudo_job where id = ?`,
  log: `select run, seq, at, level, line from qudo_job_log
    where job_id = ? and (run, seq) > (?, ?) and seq > 0 and (? is null or run = ?) order by run, seq limit ?`,

  /** Line 0 is none that a handler wrote: it names the job that was made of this run. */
  retriedBy: "select line from qudo_job_log where job_id = ? and run = ? and seq = 0",

  // — what happened, per minute
  addToTally: `insert into qudo_tally (minute, lane, event, session, n) values (?, ?, ?, ?, ?)
    on conflict (minute, lane, event, session) do update set n = n + excluded.n`,
  tally: `select t.minute, l.queue, l.kind, t.event, sum(t.n) as n from qudo_tally t join qudo_lane l on l.id = t.lane
    where t.minute >= ? group by t.minute, t.lane, t.event order by t.minute, l.queue, l.kind, t.event`,

  // — maintenance
  due: `select run_at, id, lane, prio, run, fails, crashes from qudo_delayed
    where run_at <= ? order by run_at, id limit ?`,
  nextDue: "select min(run_at) as run_at from qudo_delayed",
} as const;

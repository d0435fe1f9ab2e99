/** Limits: what workers declared, what a claim may take by them, and slots that are given up. */
import { idBytes, idText } from "../../core/ids.js";
import { Gate, limitsOf, limitsOfKey, limitsOfLane, type Limit } from "../../core/limits/gate.js";
import { sharesOf, type OpenKey } from "../../core/limits/turns.js";
import { namedLimits, useOf, type LimitUse } from "../../core/limits/use.js";
import { tokensIn } from "../../core/limits/bucket.js";
import type { LimitDeclaration, LimitRow } from "../driver.js";
import { changedRules, SCAN, scopeOf, specOf, type RuleRow } from "../sql/rules.js";
import type { Connection } from "./connection.js";
import { read, type Engine, type LaneRow } from "./engine.js";
import { SQL } from "./statements.js";

/** A job that waits for its key's turn. */
interface KeyedRow {
  lane: number;
  prio: number;
  run_at: number;
  id: Uint8Array;
  run: number;
  fails: number;
  crashes: number;
  limit_hash: Uint8Array;
}

/** A row of ready, or of a key. */
type Entrant = Pick<KeyedRow, "id" | "run"> & { readonly limit_hash?: Uint8Array };

/** Called inside a write. */
export function declare(db: Connection, declared: readonly LimitDeclaration[], now: number): void {
  const there = db.all<RuleRow>(SQL.rules);
  for (const { scope, name, spec } of changedRules(declared, there))
    db.run(SQL.putRule, scope, name, spec, now);
}

/** Of a run that its worker gives up. Called inside a write. */
export function freeSlots(db: Connection, id: Uint8Array, run: number): void {
  // Whoever waits for a place may be another process.
  if (db.run(SQL.freeSlots, id, run) > 0) db.announce();
}

/** Null where nothing limits these lanes: then a claim is what it would be without limits. */
export function doorsOf(
  db: Connection,
  lanes: readonly LaneRow[],
  host: string,
  now: number,
): Doors | null {
  const any = lanes.some(
    (lane) => lane.keyed === 1 || specOf(lane.of_kind) !== null || specOf(lane.of_queue) !== null,
  );
  return any ? new Doors(db, host, now) : null;
}

/** What one claim may take of the lanes that it wants. */
export class Doors {
  private readonly gate: Gate<Uint8Array>;
  private readonly byLane = new Map<number, readonly Limit[]>();
  /** By kind: the key whose turn it was last. */
  private readonly turns = new Map<string, Uint8Array>();
  private waitMs = Infinity;
  /** Turns are to be remembered. */
  private moved = false;
  /** More could be taken than was looked at: claim again, do not wait. */
  short = false;

  constructor(
    private readonly db: Connection,
    private readonly host: string,
    private readonly now: number,
  ) {
    this.gate = new Gate(now);
  }

  /** How long to wait where only tokens are missing. */
  get wait(): { tokenInMs: number } | undefined {
    return this.waitMs === Infinity ? undefined : { tokenInMs: this.waitMs };
  }

  /** Something of this lane could be taken now. */
  mayEnter(lane: LaneRow): boolean {
    if (this.isShut(lane)) {
      this.waitFor(lane);
      return false;
    }
    return this.hasReady(lane) || this.inTurn(lane, 1).length > 0;
  }

  /** Nothing of this lane may be taken. */
  isShut(lane: LaneRow): boolean {
    const limits = this.limitsOf(lane);
    return limits.length > 0 && this.gate.room(limits) === 0;
  }

  refuses(lane: LaneRow, row: Entrant): boolean {
    return this.gate.room(this.limitsOfJob(lane, row)) === 0;
  }

  entered(lane: LaneRow, row: Entrant): void {
    const { id, run } = row;
    this.gate.take(this.limitsOfJob(lane, row), { id, run });
    if (row.limit_hash !== undefined) this.moved = true;
  }

  /** Jobs of this lane, at most `limit`, of the keys that come next and have room: one of each in turn. */
  inTurn(lane: LaneRow, limit: number): KeyedRow[] {
    const { db } = this;
    if (lane.keyed === 0) return [];
    const n = Math.min(limit, this.gate.room(this.limitsOf(lane)));
    const open = this.openKeys(lane, n);
    const shares = sharesOf(open, n);
    const rows = open.map(({ hash }, i) =>
      db.all<KeyedRow>(SQL.firstOfKey, lane.id, idBytes(hash), shares[i]!),
    );
    const found = rows.reduce((sum, some) => sum + some.length, 0);
    // One had fewer jobs than its share, and others may have more than theirs.
    if (found < n && open.some(({ room }, i) => rows[i]!.length === shares[i] && room > shares[i]))
      this.short = true;
    return rows.flat();
  }

  /** Writes what was taken. Called inside the claim's write. */
  close(lanes: readonly LaneRow[]): void {
    const { db, gate, now } = this;
    for (const lane of lanes) if (this.isShut(lane)) this.waitFor(lane);
    for (const { limit, n, id, run } of gate.slots)
      db.run(SQL.insertSlot, idBytes(limit.hash), n, id, run);
    for (const { limit, bucket, fullAt } of gate.drawn)
      db.run(SQL.putBucket, idBytes(limit.hash), bucket.tokens, bucket.refilledAt, fullAt);
    if (gate.drawn.length > 0) db.run(SQL.dropFullBuckets, now);
    if (this.moved) for (const [kind, hash] of this.turns) db.run(SQL.setTurn, kind, now, hash);
  }

  /** The keys of this lane that have room, at most `n` of them, from the one on that comes next. */
  private openKeys(lane: LaneRow, n: number): OpenKey[] {
    const open: OpenKey[] = [];
    if (n === 0) return open;
    const from = this.turns.get(lane.kind) ?? lane.turn ?? LOWEST;
    let looked = 0;
    let last = from;
    for (const hash of this.keysFrom(lane.id, from)) {
      if (open.length === n) break;
      if (looked++ === SCAN.keys) {
        // There may be others behind them: soon again, from here on.
        this.waitMs = Math.min(this.waitMs, SCAN.againMs);
        this.moved = true;
        break;
      }
      last = hash;
      const limits = this.known(limitsOfKey(specOf(lane.of_kind), idText(hash)));
      const room = this.gate.room(limits);
      if (room > 0) open.push({ hash: idText(hash), room });
      else this.waitAt(limits);
    }
    if (looked > 0) this.turns.set(lane.kind, last);
    return open;
  }

  /** All keys in which jobs of this lane wait, in order, once round. */
  private *keysFrom(lane: number, from: Uint8Array): Generator<Uint8Array> {
    for (let at = from; ;) {
      const next = this.keyAfter(lane, at);
      if (next === undefined) break;
      yield (at = next);
    }
    for (let at: Uint8Array = LOWEST; ;) {
      const next = this.keyAfter(lane, at);
      if (next === undefined || Buffer.compare(next, from) > 0) return;
      yield (at = next);
    }
  }

  private keyAfter(lane: number, hash: Uint8Array): Uint8Array | undefined {
    return this.db.get<{ limit_hash: Uint8Array }>(SQL.keyAfter, lane, hash)?.limit_hash;
  }

  private limitsOf(lane: LaneRow): readonly Limit[] {
    const known = this.byLane.get(lane.id);
    if (known !== undefined) return known;
    const { queue, kind } = lane;
    const specs = { ofKind: specOf(lane.of_kind), ofQueue: specOf(lane.of_queue) };
    const limits = this.known(limitsOfLane({ queue, kind, ...specs }, this.host));
    this.byLane.set(lane.id, limits);
    return limits;
  }

  private limitsOfJob(lane: LaneRow, { limit_hash: hash }: Entrant): readonly Limit[] {
    const shared = this.limitsOf(lane);
    if (hash === undefined) return shared;
    return [...shared, ...this.known(limitsOfKey(specOf(lane.of_kind), idText(hash)))];
  }

  private hasReady({ id }: LaneRow): boolean {
    return this.db.get(SQL.anyReady, id) !== undefined;
  }

  /** Where nothing waits there is nothing to come back for. */
  private waitFor(lane: LaneRow): void {
    if (lane.keyed === 1 || this.hasReady(lane)) this.waitAt(this.limitsOf(lane));
  }

  private waitAt(limits: readonly Limit[]): void {
    this.waitMs = Math.min(this.waitMs, this.gate.untilToken(limits) ?? Infinity);
  }

  private known(limits: readonly Limit[]): readonly Limit[] {
    const { db, gate } = this;
    for (const limit of limits)
      if (!gate.knows(limit)) gate.know(limit, takenOf(db, limit), bucketOf(db, limit));
    return limits;
  }
}

const LOWEST = Buffer.alloc(0);

function takenOf(db: Connection, { hash, most }: Limit): number[] {
  if (most === null) return [];
  return db.all<{ n: number }>(SQL.slotsOf, idBytes(hash)).map(({ n }) => n);
}

function bucketOf(db: Connection, { hash, rate }: Limit) {
  if (rate === null) return undefined;
  const row = db.get<{ tokens: number; refilled_at: number }>(SQL.bucket, idBytes(hash));
  return row && { tokens: row.tokens, refilledAt: row.refilled_at };
}

/** What is used of the limits that a job has to pass which waits in this lane. */
export function usesOf(
  db: Connection,
  laneId: number,
  id: Uint8Array,
  now: number,
): readonly LimitUse[] {
  const lane = db.all<LaneRow>(SQL.lanes).find((one) => one.id === laneId)!;
  const { queue, kind } = lane;
  const specs = { ofKind: specOf(lane.of_kind), ofQueue: specOf(lane.of_queue) };
  if (specs.ofKind === null && specs.ofQueue === null) return [];
  const { limit_key: text, limit_hash: hash } = db.get<{
    limit_key: string | null;
    limit_hash: Uint8Array | null;
  }>(SQL.limitKey, id)!;
  const key = text === null || hash === null ? null : { text, hash: idText(hash) };
  const hosts = db.all<{ host: string }>(SQL.hosts).map(({ host }) => host);
  return namedLimits({ queue, kind, ...specs }, key, hosts).map((named) =>
    useOf(named, takenOf(db, named.limit).length, bucketOf(db, named.limit), now),
  );
}

export function limits(engine: Engine): Promise<LimitRow[]> {
  const { db } = engine;
  return read(engine, (now) =>
    db.all<RuleRow & { declared_at: number }>(SQL.rules).flatMap((row) => {
      const spec = specOf(row.spec);
      if (spec === null) return [];
      const { name, declared_at: declaredAt } = row;
      const scope = scopeOf(row.scope);
      // The limit of all its jobs, and not of one machine.
      const [limit] = limitsOf(scope, name, { ...spec, perMachine: null }, "");
      return [
        {
          scope,
          name,
          spec,
          declaredAt,
          running: limit === undefined ? 0 : takenOf(db, limit).length,
          tokens: limit?.rate == null ? null : tokensIn(bucketOf(db, limit), limit.rate, now),
          waiting: scope === "kind" ? db.get<{ n: number }>(SQL.heldOfKind, name)!.n : 0,
        },
      ];
    }),
  );
}

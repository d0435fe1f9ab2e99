/**
 * What one claim may take of lanes that are limited. Whoever claims from them locks what was declared of their kinds and queues,
 * in order: claims of one kind come one after the other, and none counts a place that another one is about to take. Where locks do
 * not reach (Galera) the numbers of the slots and the rows of the buckets are what two claims meet in.
 */
import type { Bucket } from "../../core/limits/bucket.js";
import { Gate, limitsOfKey, limitsOfLane, type Limit } from "../../core/limits/gate.js";
import { sharesOf, type OpenKey } from "../../core/limits/turns.js";
import { KEYED, type KeyedRow, type PlacedRow } from "./dialect.js";
import type { Work } from "./engine.js";
import { BUCKET, SLOT, SLOT_KEY } from "./limits.js";
import { id, join, NOTHING, sql, type Query } from "./query.js";
import { columnsOf, type RowOf, type Shape } from "./rows.js";
import { NO_SPEC, SCAN, SCOPES, specOf } from "./rules.js";
import type { OpenLane } from "./scene.js";
import { HELD_KEY } from "./standing.js";

const RULE = { scope: "int", name: "text", spec: "text", turn: "id?" } as const satisfies Shape;
const RULE_KEY = { scope: "int", name: "text" } as const satisfies Shape;
const NEW_RULE = { ...RULE_KEY, spec: "text", declared_at: "int" } as const satisfies Shape;
const CLAIMER = { host: "text", now_ms: "int" } as const satisfies Shape;
const HASH = { limit_hash: "id" } as const satisfies Shape;

type RuleRow = RowOf<typeof RULE>;

/** Keys that one statement looks for, and that one claim takes jobs of. */
const KEYS = 100;

export class Doors {
  private readonly byLane = new Map<number, readonly Limit[]>();
  /** Where each lane's keys were left, by kind. */
  private readonly turns = new Map<string, string | null>();
  private moved = false;
  private waitMs = Infinity;
  /** More could be taken than was looked at: claim again, do not wait. */
  short = false;

  private constructor(
    private readonly work: Work,
    private readonly host: string,
    private readonly rules: ReadonlyMap<string, RuleRow>,
    private readonly gate: Gate<string>,
  ) {}

  /** For a claim; called inside its write. Null where nothing limits these lanes. */
  static async enter(
    work: Work,
    lanes: readonly OpenLane[],
    session: string,
  ): Promise<Doors | null> {
    if (!lanes.some(({ limited }) => limited !== null)) return null;
    await keepTurnsOf(work, lanes);
    return Doors.open(work, lanes, session, "update");
  }

  /** For a look, without locks. */
  static see(work: Work, lanes: readonly OpenLane[], session: string): Promise<Doors> {
    return Doors.open(work, lanes, session, "none");
  }

  private static async open(
    work: Work,
    lanes: readonly OpenLane[],
    session: string,
    lock: "none" | "update",
  ): Promise<Doors> {
    const { t, dialect } = work;
    const limited = lanes.filter((lane) => lane.limited !== null);
    // By their names, and not by where they stand: whoever waits for a row that is being changed is given what it has become.
    const find = (scope: number) => (some: readonly string[]) =>
      sql`select ${columnsOf(RULE)} from ${dialect.byKey(t.rule)}
        where scope = ${scope} and ${dialect.among("name", "text", some)} order by name ${dialect.lock(lock)}`;
    const names = (of: (lane: OpenLane) => string): string[] => unique(limited.map(of)).toSorted();
    const kinds = names(({ kind }) => kind);
    const queues = names(({ queue }) => queue);
    const [ofKinds, ofQueues, claimer] = await Promise.all([
      work.allOf(kinds, find(SCOPES.kind), RULE),
      work.allOf(queues, find(SCOPES.queue), RULE),
      work.first(
        sql`select host, ${dialect.now} as now_ms from ${t.worker} where id = ${id(session)}`,
        CLAIMER,
      ),
    ]);
    const rules = new Map(
      [...ofKinds, ...ofQueues].map((row) => [ruleName(row.scope, row.name), row]),
    );
    const now = Number.isNaN(work.now) ? (claimer?.now_ms ?? 0) : work.now;
    const doors = new Doors(work, claimer?.host ?? "", rules, new Gate(now));
    await doors.know(limited.flatMap((lane) => doors.limitsOf(lane)));
    return doors;
  }

  /** How long to wait where only tokens are missing. */
  get wait(): { tokenInMs: number } | undefined {
    return this.waitMs === Infinity ? undefined : { tokenInMs: this.waitMs };
  }

  /** Something of this lane could be taken now. */
  async mayEnter(lane: OpenLane): Promise<boolean> {
    if (this.gate.room(this.limitsOf(lane)) === 0) {
      this.waitAt(this.limitsOf(lane));
      return false;
    }
    return lane.limited?.ready === true || (await this.inTurn(lane, 1)).length > 0;
  }

  /** How many jobs of this lane may be taken by what all of them have in common. */
  room(lane: OpenLane): number {
    return this.gate.room(this.limitsOf(lane));
  }

  /** Tries out what could be taken, one after the other. */
  trial(): (lane: OpenLane, row: Entrant) => boolean {
    const gate = this.gate.copy();
    return (lane, row) => {
      const limits = this.limitsOfJob(lane, row);
      if (gate.room(limits) === 0) return false;
      gate.take(limits);
      return true;
    };
  }

  entered(lane: OpenLane, row: PlacedRow): void {
    this.gate.take(this.limitsOfJob(lane, row), { id: row.id, run: row.run });
    if (row.limit_hash != null) this.moved = true;
  }

  /** Jobs of this lane, at most `limit`, of the keys that come next and have room: one of each in turn. They stay where they are. */
  async inTurn(lane: OpenLane, limit: number): Promise<KeyedRow[]> {
    const { work } = this;
    const n = Math.min(limit, this.room(lane));
    if (lane.limited?.keyed !== true || n === 0) return [];
    const open = await this.openKeys(lane, Math.min(n, KEYS));
    if (open.length === 0) return [];
    const shares = sharesOf(open, n);
    const ofKeys = open.map(
      ({ hash }, i) => sql`(select ${columnsOf(KEYED)} from ${work.t.held}
        where lane = ${lane.id} and limit_hash = ${id(hash)} order by prio, run_at, id limit ${shares[i]!})`,
    );
    const rows = await work.all(join(ofKeys, " union all "), KEYED);
    // One had fewer jobs than its share, and others may have more than theirs, or were not looked at.
    const found = new Map<string, number>();
    for (const { limit_hash: key } of rows) found.set(key, (found.get(key) ?? 0) + 1);
    const others = open.some(({ hash, room }, i) => {
      const share = shares[i]!;
      return room > share && found.get(hash) === share;
    });
    if (rows.length > 0 && rows.length < n && (others || open.length === KEYS)) this.short = true;
    return rows;
  }

  /** Takes them from where they wait; those that others are moving are left to them. */
  async lift(rows: readonly KeyedRow[]): Promise<PlacedRow[]> {
    const { work } = this;
    const { t, dialect } = work;
    const among = (some: readonly KeyedRow[]) => dialect.amongKeys(t.held, HELD_KEY, some);
    const lock = (some: readonly KeyedRow[]) =>
      sql`select ${columnsOf(KEYED)} from ${dialect.byKey(t.held)} where ${among(some)} ${dialect.lock("skip")}`;
    const found = await work.allOf(rows, lock, KEYED);
    await work.runOf(found, (some) => sql`delete from ${t.held} where ${among(some)}`);
    return found;
  }

  /** Writes what was taken. Called inside the claim's write. */
  async close(lanes: readonly OpenLane[]): Promise<void> {
    const { work, gate } = this;
    const { t } = work;
    for (const lane of lanes) if (this.room(lane) === 0) this.waitAt(this.limitsOf(lane));
    const slots = gate.slots.map(({ limit, n, id: job_id, run }) => ({
      limit_hash: limit.hash,
      n,
      job_id,
      run,
    }));
    // A number that is there after all, on another node of a cluster, makes all of it begin again.
    await Promise.all([work.insert(t.slot, SLOT, slots), this.writeBuckets(), this.writeTurns()]);
  }

  private async writeBuckets(): Promise<void> {
    const { work, gate } = this;
    const { t, dialect } = work;
    const rows = gate.drawn.map(({ limit, bucket, fullAt }) => ({
      limit_hash: limit.hash,
      tokens: bucket.tokens,
      refilled_at: bucket.refilledAt,
      full_at: fullAt,
    }));
    if (rows.length === 0) return;
    const drop = (hashes: readonly string[]) =>
      work.runOf(
        hashes,
        (some) => sql`delete from ${t.bucket} where ${dialect.among("limit_hash", "id", some)}`,
      );
    await drop(rows.map((row) => row.limit_hash));
    await work.insert(t.bucket, BUCKET, rows);
    // One that is full says what one that nobody keeps says.
    const full = await work.all(
      sql`select limit_hash, full_at from ${t.bucket} where full_at <= ${work.now}
        order by full_at limit 20 ${dialect.lock("skip")}`,
      HASH,
    );
    await drop(full.map((row) => row.limit_hash));
  }

  private async writeTurns(): Promise<void> {
    if (!this.moved) return;
    for (const [kind, hash] of this.turns)
      if (hash !== null)
        await this.work.run(
          sql`update ${this.work.t.rule} set turn = ${id(hash)} where scope = ${SCOPES.kind} and name = ${kind}`,
        );
  }

  /** The keys of this lane that have room, at most `n` of them, from the one on that comes next. */
  private async openKeys(lane: OpenLane, n: number): Promise<OpenKey[]> {
    const open: OpenKey[] = [];
    const from = this.turns.get(lane.kind) ?? this.ruleOf(SCOPES.kind, lane.kind)?.turn ?? null;
    let looked = 0;
    let last = from;
    for await (const hashes of this.keysFrom(lane.id, from)) {
      const ofKeys = hashes.map((hash) => this.limitsOfKey(lane, hash));
      await this.know(ofKeys.flat());
      for (const [i, hash] of hashes.entries()) {
        if (open.length === n) break;
        last = hash;
        const room = this.gate.room(ofKeys[i]!);
        if (room > 0) open.push({ hash, room });
        else this.waitAt(ofKeys[i]!);
      }
      looked += hashes.length;
      if (open.length === n) break;
      if (looked >= SCAN.keys) {
        // There may be others behind them: soon again, from here on.
        this.waitMs = Math.min(this.waitMs, SCAN.againMs);
        this.moved = true;
        break;
      }
    }
    this.turns.set(lane.kind, last);
    return open;
  }

  /** All keys in which jobs of this lane wait, in order, once round. */
  private async *keysFrom(lane: number, from: string | null): AsyncGenerator<readonly string[]> {
    for (const [after, upTo] of from === null
      ? [[null, null]]
      : [
          [from, null],
          [null, from],
        ])
      for (let at = after ?? null, more = true; more;) {
        const hashes = await this.keysBetween(lane, at, upTo ?? null);
        if (hashes.length > 0) yield hashes;
        more = hashes.length === KEYS;
        at = hashes.at(-1) ?? null;
      }
  }

  /** One look into the index for each, however many jobs one has. */
  private async keysBetween(
    lane: number,
    after: string | null,
    upTo: string | null,
  ): Promise<string[]> {
    const { t } = this.work;
    const end = upTo === null ? NOTHING : sql`and h.limit_hash <= ${id(upTo)}`;
    const next = (behind: Query) => sql`select h.limit_hash from ${t.held} h
      where h.lane = ${lane} ${behind} ${end} order by h.limit_hash limit 1`;
    const first = next(after === null ? NOTHING : sql`and h.limit_hash > ${id(after)}`);
    const rows = await this.work.all(
      sql`with recursive k (limit_hash, nth) as (
          select (${first}), 1
          union all
          select (${next(sql`and h.limit_hash > k.limit_hash`)}), k.nth + 1 from k
          where k.limit_hash is not null and k.nth < ${KEYS})
        select k.limit_hash from k where k.limit_hash is not null order by k.nth`,
      HASH,
    );
    return rows.map((row) => row.limit_hash);
  }

  private limitsOf(lane: OpenLane): readonly Limit[] {
    const known = this.byLane.get(lane.id);
    if (known !== undefined) return known;
    const { queue, kind } = lane;
    const ofKind = specOf(this.ruleOf(SCOPES.kind, kind)?.spec);
    const ofQueue = specOf(this.ruleOf(SCOPES.queue, queue)?.spec);
    const limits = limitsOfLane({ queue, kind, ofKind, ofQueue }, this.host);
    this.byLane.set(lane.id, limits);
    return limits;
  }

  private limitsOfKey({ kind }: OpenLane, hash: string): readonly Limit[] {
    return limitsOfKey(specOf(this.ruleOf(SCOPES.kind, kind)?.spec), hash);
  }

  private limitsOfJob(lane: OpenLane, { limit_hash: hash }: Entrant): readonly Limit[] {
    const shared = this.limitsOf(lane);
    return hash == null ? shared : [...shared, ...this.limitsOfKey(lane, hash)];
  }

  private ruleOf(scope: number, name: string): RuleRow | undefined {
    return this.rules.get(ruleName(scope, name));
  }

  private waitAt(limits: readonly Limit[]): void {
    this.waitMs = Math.min(this.waitMs, this.gate.untilToken(limits) ?? Infinity);
  }

  /** Reads what is used of those that nothing is known of. */
  private async know(limits: readonly Limit[]): Promise<void> {
    const { work, gate } = this;
    const { t, dialect } = work;
    const fresh = limits.filter((limit) => !gate.knows(limit));
    const taken = (some: readonly string[]) =>
      sql`select ${columnsOf(SLOT_KEY)} from ${t.slot} where ${dialect.among("limit_hash", "id", some)}`;
    const left = (some: readonly string[]) =>
      sql`select ${columnsOf(BUCKET)} from ${t.bucket} where ${dialect.among("limit_hash", "id", some)}`;
    const [slots, buckets] = await Promise.all([
      work.allOf(hashes(fresh.filter(({ most }) => most !== null)), taken, SLOT_KEY),
      work.allOf(hashes(fresh.filter(({ rate }) => rate !== null)), left, BUCKET),
    ]);
    const numbers = new Map<string, number[]>();
    for (const { limit_hash: hash, n } of slots) {
      const known = numbers.get(hash);
      if (known === undefined) numbers.set(hash, [n]);
      else known.push(n);
    }
    const byHash = new Map(buckets.map((row) => [row.limit_hash, row]));
    for (const limit of fresh) {
      const row = byHash.get(limit.hash);
      const bucket: Bucket | undefined = row && { tokens: row.tokens, refilledAt: row.refilled_at };
      gate.know(limit, numbers.get(limit.hash) ?? [], bucket);
    }
  }
}

/** A row of ready, or of a key. */
type Entrant = { readonly lane: number } & Pick<PlacedRow, "limit_hash">;

const ruleName = (scope: number, name: string): string => `${scope}/${name}`;

const hashes = (some: readonly Limit[]): string[] => unique(some.map(({ hash }) => hash));

const unique = (names: readonly string[]): string[] => [...new Set(names)];

/** Of kinds that nobody has declared anything of: then there are no limits, but keys take turns all the same. */
async function keepTurnsOf(work: Work, lanes: readonly OpenLane[]): Promise<void> {
  const kinds = unique(
    lanes.filter(({ limited }) => limited?.keyed && !limited.ruled).map(({ kind }) => kind),
  );
  const rows = kinds.toSorted().map((name) => ({
    scope: SCOPES.kind,
    name,
    spec: NO_SPEC,
    declared_at: work.now,
  }));
  await work.insertNew(work.t.rule, NEW_RULE, rows);
}

/** Two actors on one server, the prepared tables, and the verdict on every interleaving of two calls. */
import { randomUUID } from "node:crypto";
import type { Driver } from "../../../src/storage/driver.js";
import type { Database } from "../../../src/storage/sql/database.js";
import { TABLES, type Dialect } from "../../../src/storage/sql/dialect.js";
import { serverDriver } from "../../../src/storage/sql/driver.js";
import { newEngine } from "../../../src/storage/sql/engine.js";
import type { Answer, Played } from "../conductor.js";
import type { Call } from "../operations.js";
import { fill, NOW } from "../scenario.js";
import type { Options, Place, Stage, Tally } from "../stage.js";
import { judge, snapshot, type Snapshot } from "../verdict.js";
import { Gate, gated } from "./gate.js";
import { NONE, type Variant } from "./naive.js";

/** A server's database made for these tests. */
export interface UnderTest extends Place {
  readonly dialect: Dialect;
  /** A pool of its own for one actor; where the database has several nodes, each actor is on another one. */
  connect(actor: 0 | 1): Promise<Database>;
  /** Resolves when each node has whatever was committed on any. Absent where there is only one. */
  replicated?(): Promise<void>;
  /** What stands before `select` when a column that the database numbers is given. */
  readonly given: string;
}

/** Whoever is not answered for so long waits for the other's lock: then that one goes on. */
const PATIENCE_MS = 15;

interface Performance {
  readonly first: Call;
  readonly second: Call;
  /** Before which statement of the first; from 1. */
  readonly pause: number;
  readonly variant: Variant;
}

class Actor {
  readonly gate = new Gate();

  private constructor(
    private readonly under: UnderTest,
    private readonly db: Database,
  ) {}

  static async on(under: UnderTest, actor: 0 | 1): Promise<Actor> {
    return new Actor(under, await under.connect(actor));
  }

  /** A new driver each time: what the last one remembered of the tables is no longer true. */
  async run({ method, args }: Call, variant: Variant): Promise<Answer> {
    const { dialect: ours, driver: whole } = this.under;
    const dialect = variant.dialect?.(ours) ?? ours;
    const db = variant.database?.(this.db, dialect) ?? this.db;
    const engine = newEngine(gated(db, this.gate), dialect, randomUUID());
    const driver = serverDriver(engine, whole) as unknown as Record<
      string,
      (...args: readonly unknown[]) => Promise<unknown>
    >;
    try {
      return { ok: true, value: await driver[method]!(...args) };
    } catch (error) {
      const { code = null, message, cause } = error as Error & { code?: string };
      return { ok: false, code, message: `${message} ${String(cause ?? "")}` };
    }
  }

  close(): Promise<void> {
    return this.db.close();
  }
}

export class ServerStage implements Stage {
  private a!: Actor;
  private b!: Actor;
  private before!: Snapshot;
  private under!: UnderTest;

  get driver(): Driver {
    return this.under.driver;
  }

  async open(under: UnderTest): Promise<void> {
    this.under = under;
    await fill(under.driver, under.clock);
    under.clock.now = NOW;
    for (const table of TABLES)
      await under.rows(`create table copy_${table} as select * from qudo_${table}`);
    this.before = await snapshot(under.driver, under.rows);
    this.a = await Actor.on(under, 0);
    this.b = await Actor.on(under, 1);
  }

  rows(sql: string): Promise<unknown[]> {
    return this.under.rows(sql);
  }

  get violations(): readonly string[] {
    return this.before.violations;
  }

  /**
   * `second` before each statement of `first` in turn, the last time after it; judged each time. `lagging`: `first` goes on without
   * waiting until its node has what `second` did on another one.
   */
  async everywhere(
    first: Call,
    second: Call,
    {
      look,
      variant = NONE,
      lagging = false,
    }: Options & { variant?: Variant; lagging?: boolean } = {},
  ): Promise<Tally> {
    const tally: Tally = { played: 0, waited: 0, broken: 0, wrong: [] };
    for (let pause = 1; ; pause++) {
      await this.reset();
      await this.under.replicated?.();
      const played = await this.perform({ first, second, pause, variant }, lagging);
      await this.under.replicated?.();
      const after = await snapshot(this.under.driver, this.under.rows);
      const wrong = judge(this.before, after, [first, second], played.answers);
      tally.played++;
      if (played.waited) tally.waited++;
      if (wrong.length > 0) tally.broken++;
      for (const what of wrong) tally.wrong.push(`before statement ${pause}: ${what}`);
      await look?.(played);
      if (!played.paused) return tally;
    }
  }

  private async perform(
    { first, second, pause, variant }: Performance,
    lagging: boolean,
  ): Promise<Played> {
    const paused = this.a.gate.arm(pause).then(() => "paused" as const);
    void this.b.gate.arm(0);
    const one = this.a.run(first, variant);
    const met = await Promise.race([paused, one.then(() => "done" as const)]);
    const other = this.b.run(second, variant);
    let waited = false;
    if (met === "paused") {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<"late">((resolve) => {
        timer = setTimeout(() => resolve("late"), PATIENCE_MS);
      });
      waited = (await Promise.race([other, late])) === "late";
      clearTimeout(timer);
      if (!waited && !lagging) await this.under.replicated?.();
      this.a.gate.resume();
    }
    const answers = [await one, await other] as const;
    return { paused: met === "paused", waited, answers };
  }

  /** Children before parents when deleting, parents first when filling: a lease refers to its session. */
  private async reset(): Promise<void> {
    const order = [...TABLES].toSorted((a, b) => Number(a === "lease") - Number(b === "lease"));
    const remove = order.toReversed().map((table) => `delete from qudo_${table}`);
    const refill = order.map((table) => this.refill(table));
    await this.under.rows(["begin", ...remove, ...refill, "commit"].join("; "));
  }

  /** Numbers that the database gives are put back as they were. */
  private refill(table: string): string {
    const given = table === "lane" ? this.under.given : "";
    return `insert into qudo_${table} ${given} select * from copy_${table}`;
  }

  async close(): Promise<void> {
    await this.a?.close();
    await this.b?.close();
    await this.under?.close();
  }
}

/** Transactions on a pool of connections, repeated where they met others. */
import { closedError } from "../../core/errors.js";
import type { MysqlSettings } from "../server.js";
import type { Body, Database, Tx } from "../sql/database.js";
import { raw, sql, type Query } from "../sql/query.js";
import { decode, type RowOf, type Shape } from "../sql/rows.js";
import { loadClient, openWire, type Answer, type Wire } from "./connection.js";
import { isConflict, isFatal } from "./errors.js";
import type { Flavour } from "./flavour.js";
import { Pool } from "./pool.js";
import { textOf } from "./text.js";

/** For how long a transaction that meets others begins again. */
const RETRY_FOR_MS = 10_000;

interface Parts {
  readonly label: string;
  readonly pool: Pool<Wire>;
  readonly escape: (text: string) => string;
  readonly statementTimeoutMs: number;
  readonly flavour: Flavour;
}

export class MysqlDatabase implements Database {
  readonly label: string;
  readonly flavour: Flavour;

  private constructor(
    private readonly parts: Parts,
    /** The database's clock, asked at the start of each transaction. */
    private readonly now: () => Query,
  ) {
    this.label = parts.label;
    this.flavour = parts.flavour;
  }

  /** @throws DatabaseError when it cannot be reached, or is too old. */
  static async open(settings: MysqlSettings, now: () => Query): Promise<MysqlDatabase> {
    const client = await loadClient();
    const pool: Pool<Wire> = new Pool(
      {
        most: settings.connections,
        open: () => openWire(client, settings, (wire) => pool.drop(wire)),
        end: (wire) => wire.end(),
      },
      closedError,
    );
    const wire = await pool.acquire();
    pool.release(wire);
    const { label, statementTimeoutMs } = settings;
    const { flavour } = wire;
    const escape = (text: string): string => client.escape(text);
    return new MysqlDatabase({ label, pool, escape, statementTimeoutMs, flavour }, now);
  }

  async transaction<T>(body: Body<T>): Promise<T> {
    const deadline = performance.now() + RETRY_FOR_MS;
    for (let tries = 0; ; tries++)
      try {
        return await this.once([], body, "commit");
      } catch (error) {
        if (!isConflict(error) || performance.now() > deadline) throw error;
        await jitter(tries);
      }
  }

  snapshot<T>(body: Body<T>): Promise<T> {
    return this.once(SNAPSHOT, body, "rollback");
  }

  look<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    return this.withWire(async (wire) => {
      const turns = this.turnsOn(wire);
      try {
        return await body(turns);
      } finally {
        await turns.settled();
      }
    });
  }

  /** A connection whose statements commit by themselves and take as long as they need; it is not used again. */
  async alone<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    const { pool } = this.parts;
    const wire = await pool.acquire();
    try {
      const turns = this.turnsOn(wire, null);
      await turns.run(raw(UNHURRIED[this.flavour.name]));
      return await body(turns);
    } finally {
      wire.destroy();
      pool.discard();
    }
  }

  close(): Promise<void> {
    return this.parts.pool.close();
  }

  private once<T>(begin: readonly Query[], body: Body<T>, end: "commit" | "rollback"): Promise<T> {
    return this.withWire(async (wire) => {
      const turns = this.turnsOn(wire);
      try {
        const begun = begin.map((query) => turns.run(query));
        const asked = turns.all(sql`select ${this.now()} as now`, { now: "int" });
        const [rows] = await Promise.all([asked, ...begun]);
        const value = await body(turns, rows[0]!.now);
        if (end === "commit") await turns.run(raw("commit"));
        return value;
      } finally {
        await turns.settled();
      }
    });
  }

  private async withWire<T>(body: (wire: Wire) => Promise<T>): Promise<T> {
    const { pool } = this.parts;
    const wire = await pool.acquire();
    try {
      const value = await body(wire);
      this.giveBack(wire);
      return value;
    } catch (error) {
      if (isFatal(error)) {
        wire.destroy();
        pool.discard();
      } else this.giveBack(wire);
      throw error;
    }
  }

  /** What is open on it is rolled back, which nobody waits for; one that cannot even do that is not used again. */
  private giveBack(wire: Wire): void {
    const { pool, statementTimeoutMs } = this.parts;
    wire.send("rollback", statementTimeoutMs).then(
      () => pool.release(wire),
      () => {
        wire.destroy();
        pool.discard();
      },
    );
  }

  private turnsOn(wire: Wire, timeoutMs: number | null = this.parts.statementTimeoutMs): Turns {
    return new Turns((query) => wire.send(textOf(query, this.parts.escape), timeoutMs));
  }
}

const SNAPSHOT = [
  raw("set transaction isolation level repeatable read"),
  raw("start transaction with consistent snapshot, read only"),
];

const UNHURRIED = {
  MySQL: "set session autocommit = 1, session max_execution_time = 0",
  MariaDB: "set session autocommit = 1, session max_statement_time = 0",
} as const;

/** Statements one after the other; after one that failed none of those that were to follow is sent. */
class Turns implements Tx {
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly send: (query: Query) => Promise<Answer>) {}

  async all<S extends Shape>(query: Query, shape: S): Promise<RowOf<S>[]> {
    return (await this.next(query)).rows.map((row) => decode(shape, row));
  }

  async run(query: Query): Promise<number> {
    return (await this.next(query)).changed;
  }

  /** Nobody is told: workers ask. */
  announce(): void {}

  /** Resolves when nothing is under way. */
  settled(): Promise<void> {
    return this.last.then(
      () => undefined,
      () => undefined,
    );
  }

  private next(query: Query): Promise<Answer> {
    const mine = this.last.then(() => this.send(query));
    this.last = mine;
    mine.catch(() => undefined);
    return mine;
  }
}

/** Full jitter: anywhere between now and a bound that grows. */
function jitter(tries: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(250, 2 ** tries)));
}

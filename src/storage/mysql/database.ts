/** Transactions on MySQL and MariaDB, begun again where they met others or lost their connection. */
import { DatabaseError } from "../../core/errors.js";
import type { MysqlSettings } from "../server.js";
import type { Body, Database, SnapshotOptions, Tx } from "../sql/database.js";
import { raw, sql, type Query } from "../sql/query.js";
import { decode, type RowOf, type Shape } from "../sql/rows.js";
import { loadEscape, type Answer, type Connection, type PatienceMs } from "./connection.js";
import { ConflictError, isSilent, LostError, perhaps } from "../sql/errors.js";
import { asDatabaseError } from "./errors.js";
import type { Flavour } from "./flavour.js";
import { unhurried } from "./session.js";
import { openSource, type Opened, type Source } from "./source.js";
import { textOf } from "./text.js";

/** Locks and keys that others hold are waited for so long, in all. */
const CONFLICTS_MS = 10_000;
/** The longest pause before the next try. */
const PAUSE_MS = 200;
/** Connections may have died while nobody used them: so often a transaction begins again on another. */
const LOSSES_MAX = 2;
/** The server ends a statement by itself. If its word does not come, the connection is gone. */
const ANSWER_MS = 3_000;

/** How a transaction begins, and whether what it did is kept. */
interface Kind {
  readonly begin: readonly Query[];
  readonly commits: boolean;
}

/** Nothing begins it: without autocommit the first statement does. */
const TRANSACTION: Kind = { begin: [], commits: true };
const SNAPSHOT: Kind = {
  begin: [
    raw("set transaction isolation level repeatable read"),
    raw("start transaction with consistent snapshot, read only"),
  ],
  commits: false,
};

export class MysqlDatabase implements Database {
  readonly label: string;
  readonly flavour: Flavour;
  private readonly source: Source;
  private readonly patienceMs: number;

  private constructor(
    { label, statementTimeoutMs }: MysqlSettings,
    { source, flavour }: Opened,
    private readonly escape: (text: string) => string,
    /** The database's clock, asked at the start of each transaction. */
    private readonly now: () => Query,
  ) {
    this.label = label;
    this.flavour = flavour;
    this.source = source;
    this.patienceMs = statementTimeoutMs + ANSWER_MS;
  }

  /** @throws DatabaseError when nobody answers, or one that is too old. */
  static async open(settings: MysqlSettings, now: () => Query): Promise<MysqlDatabase> {
    const escape = await loadEscape();
    return new MysqlDatabase(settings, await openSource(settings), escape, now);
  }

  async transaction<T>(body: Body<T>): Promise<T> {
    const deadline = performance.now() + CONFLICTS_MS;
    for (let conflicts = 0, losses = 0; ;)
      try {
        return await this.once(TRANSACTION, body, this.patienceMs);
      } catch (error) {
        if (error instanceof ConflictError && performance.now() < deadline)
          await pause(++conflicts);
        else if (!isUnsent(error) || !this.mayTryAgain(error.lost, ++losses)) throw plain(error);
      }
  }

  async snapshot<T>(body: Body<T>, { patient = false }: SnapshotOptions = {}): Promise<T> {
    const patience = patient ? null : this.patienceMs;
    for (let losses = 0; ;)
      try {
        return await this.once(SNAPSHOT, body, patience);
      } catch (error) {
        if (!isUnsent(error) || !this.mayTryAgain(error.lost, ++losses)) throw plain(error);
      }
  }

  async look<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    for (let losses = 0; ;)
      try {
        return await this.lookOnce(body);
      } catch (error) {
        if (!(error instanceof LostError) || !this.mayTryAgain(error, ++losses)) throw error;
      }
  }

  /** Statements that commit by themselves and take as long as they need, on a connection that is not used again. */
  async alone<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    const connection = await this.source.acquire();
    const statements = new Statements(this, connection, null);
    try {
      await statements.run(raw(unhurried(this.flavour)));
      return await body(statements);
    } finally {
      await statements.over();
      this.source.release(connection, true);
    }
  }

  close(): Promise<void> {
    return this.source.close();
  }

  /** One connection was lost. Where nobody answered, none that was idle meanwhile is trusted. */
  private mayTryAgain(lost: LostError, losses: number): boolean {
    if (isSilent(lost)) this.source.forget();
    return losses <= LOSSES_MAX;
  }

  private async lookOnce<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    const connection = await this.source.acquire();
    const statements = new Statements(this, connection, this.patienceMs);
    try {
      return await body(statements);
    } finally {
      await statements.over();
      this.abandon(connection);
    }
  }

  private async once<T>(kind: Kind, body: Body<T>, patience: PatienceMs): Promise<T> {
    const connection = await this.source.acquire();
    const statements = new Statements(this, connection, patience);
    const used = patience === null;
    let committing = false;
    try {
      const value = await body(statements, await this.begin(kind, statements, patience));
      await statements.over();
      if (statements.failed !== null) throw statements.failed;
      committing = true;
      if (kind.commits) {
        await this.send(connection, "commit", this.patienceMs);
        this.source.release(connection, used);
      } else this.abandon(connection, used);
      return value;
    } catch (error) {
      await statements.over();
      // Whoever asks next is to find the server that takes writes now.
      if (error instanceof DatabaseError && error.code === "QUDO_DATABASE_READ_ONLY")
        this.source.forget();
      this.abandon(connection, used);
      if (!(error instanceof LostError)) throw error;
      throw committing && kind.commits ? perhaps(error) : new Unsent(error);
    }
  }

  /** The database's time. */
  private async begin({ begin }: Kind, tx: Tx, patience: PatienceMs): Promise<number> {
    if (patience === null) await tx.run(raw(unhurried(this.flavour)));
    for (const query of begin) await tx.run(query);
    const rows = await tx.all(sql`select ${this.now()} as now`, { now: "int" });
    return rows[0]!.now;
  }

  /**
   * What is open on it is rolled back, which nobody waits for: whatever is sent next goes after it. One that cannot even do
   * that is not used again.
   */
  private abandon(connection: Connection, broken = false): void {
    if (!broken && connection.usable)
      connection.send("rollback", this.patienceMs).catch(() => connection.destroy());
    this.source.release(connection, broken);
  }

  /** For {@link Statements}. */
  async send(connection: Connection, text: string, patience: PatienceMs): Promise<Answer> {
    try {
      return await connection.send(text, patience);
    } catch (error) {
      throw asDatabaseError(error, this.label);
    }
  }

  /** For {@link Statements}. */
  text(query: Query): string {
    return textOf(query, this.escape);
  }
}

/**
 * The statements of one body, on its connection, for as long as it lasts. They go one after the other, and after one that failed
 * none of those that were to follow.
 */
class Statements implements Tx {
  /** What went wrong first. */
  failed: unknown = null;
  private ended = false;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly db: MysqlDatabase,
    private readonly connection: Connection,
    private readonly patience: PatienceMs,
  ) {}

  async all<S extends Shape>(query: Query, shape: S): Promise<RowOf<S>[]> {
    return (await this.next(query)).rows.map((row) => decode(shape, row));
  }

  async run(query: Query): Promise<number> {
    return (await this.next(query)).changed;
  }

  /** These servers tell nobody. */
  announce(): void {}

  /** Nothing is sent any more, and all that was sent is answered: the connection can be somebody else's. */
  async over(): Promise<void> {
    this.ended = true;
    await this.last;
  }

  private next(query: Query): Promise<Answer> {
    const mine = this.last.then(() => {
      if (this.failed !== null) throw this.failed;
      if (this.ended) throw new Error("The transaction is over.");
      return this.db.send(this.connection, this.db.text(query), this.patience);
    });
    // Whoever sent several at once hears of the first failure only. The others are no news, and must not end the process.
    this.last = mine.catch((error: unknown) => {
      this.failed ??= error;
    });
    return mine;
  }
}

/** A connection that was lost before the commit was sent: nothing has happened, whatever was sent. */
class Unsent extends Error {
  constructor(readonly lost: LostError) {
    super(lost.message);
  }
}

const isUnsent = (error: unknown): error is Unsent => error instanceof Unsent;

const plain = (error: unknown): unknown => (error instanceof Unsent ? error.lost : error);

/** Full jitter: those who met once do not meet again. */
function pause(tries: number): Promise<void> {
  const longest = Math.min(PAUSE_MS, 2 ** Math.min(tries, 10));
  return new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
}

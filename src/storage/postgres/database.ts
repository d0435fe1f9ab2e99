/** Transactions on PostgreSQL. Nothing of a session is relied upon: a pooler may give each of them another connection. */
import { createHash } from "node:crypto";
import { DatabaseError } from "../../core/errors.js";
import type { PostgresSettings } from "../server.js";
import type { Body, Database, SnapshotOptions, Tx } from "../sql/database.js";
import { Id, List, NOTHING, raw, render, sql, type Query, type Value } from "../sql/query.js";
import { decode, type RowOf, type Shape } from "../sql/rows.js";
import type {
  Connection,
  PatienceMs,
  QueryResult,
  SessionSettings,
  Statement,
} from "./connection.js";
import { ConflictError, isSilent, LostError, perhaps } from "../sql/errors.js";
import { asDatabaseError, isConsequence } from "./errors.js";
import {
  openSource,
  PATIENT_SETTINGS,
  sessionSettings,
  type Opened,
  type Source,
} from "./source.js";

export interface DatabaseOptions {
  /** The database's clock, asked at the start of each transaction. */
  readonly now: () => Query;
  /** A transaction that has something to announce is about to be committed: what to send right behind the commit, if anything. */
  readonly announcement: () => Query | null;
}

/** Locks and keys that others hold are waited for so long, in all: times what one statement may take. */
const PATIENCE_WITH_OTHERS = 5;
/** The longest pause before the next try. */
const PAUSE_MS = 200;
/** Connections may have died while nobody used them: so often a transaction begins again on another. */
const LOSSES_MAX = 2;
/** The server ends a statement by itself. If its word does not come, the connection is gone. */
const ANSWER_MS = 3_000;
/** Texts differ by the number of lanes, of columns: not by what a user does. Those past it go unprepared. */
const NAMES_MAX = 500;

const BEGIN = raw("begin isolation level read committed");
const BEGIN_SNAPSHOT = raw("begin isolation level repeatable read, read only");
const COMMIT: Statement = { text: "commit" };
const ROLLBACK: Statement = { text: "rollback" };

export class PostgresDatabase implements Database {
  readonly label: string;
  private readonly names = new Map<string, string>();
  private readonly patienceMs: number;
  /** Set within the transaction that begins, where no session holds them. */
  private readonly forNow: Query;

  /** A connection of its own; null where there is no listening. */
  readonly direct: Opened["direct"];
  private readonly source: Source;

  private constructor(
    private readonly settings: PostgresSettings,
    { source, settled, direct }: Opened,
    private readonly options: DatabaseOptions,
  ) {
    this.source = source;
    this.direct = direct;
    const { label, statementTimeoutMs } = settings;
    this.label = label;
    this.patienceMs = statementTimeoutMs + ANSWER_MS;
    this.forNow = settled ? NOTHING : setForNow(sessionSettings(statementTimeoutMs));
  }

  /** @throws DatabaseError where a pool of the user's leads to a server that is too old. */
  static async open(
    settings: PostgresSettings,
    options: DatabaseOptions,
  ): Promise<PostgresDatabase> {
    return new PostgresDatabase(settings, await openSource(settings), options);
  }

  async transaction<T>(body: Body<T>, { patient = false }: SnapshotOptions = {}): Promise<T> {
    const deadline = performance.now() + PATIENCE_WITH_OTHERS * this.settings.statementTimeoutMs;
    const patience = patient ? null : this.patienceMs;
    for (let conflicts = 0, losses = 0; ;)
      try {
        return await this.once(BEGIN, body, patience);
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
        return await this.once(BEGIN_SNAPSHOT, body, patience);
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

  close(): Promise<void> {
    return this.source.close();
  }

  /** One connection was lost; after a second one, or where nobody answered, none that was idle meanwhile is trusted. */
  private mayTryAgain(lost: LostError, losses: number): boolean {
    if (losses > 1 || isSilent(lost)) this.source.forget();
    return losses <= LOSSES_MAX;
  }

  private async lookOnce<T>(body: (tx: Tx) => Promise<T>): Promise<T> {
    const connection = await this.acquire();
    const statements = new Statements(this, connection, this.patienceMs);
    try {
      return await body(statements);
    } finally {
      await statements.over();
      this.source.release(connection);
    }
  }

  private async once<T>(begin: Query, body: Body<T>, patience: PatienceMs): Promise<T> {
    const connection = await this.acquire();
    const statements = new Statements(this, connection, patience);
    let committing = false;
    let value: T;
    try {
      value = await body(statements, await this.begin(statements, begin, patience));
      await statements.over();
      committing = true;
      await this.commit(connection, statements);
    } catch (thrown) {
      const error = isConsequence(thrown) ? statements.failed : thrown;
      await this.abandon(connection, statements, error);
      if (!(error instanceof LostError)) throw error;
      // A look has nothing to lose: it is begun again.
      throw committing && begin !== BEGIN_SNAPSHOT ? perhaps(error) : new Unsent(error);
    }
    this.source.release(connection);
    return value;
  }

  /** The database's time. Sent together: one way there and back. */
  private async begin(tx: Tx, begin: Query, patience: PatienceMs): Promise<number> {
    const forNow = patience === null ? WITHOUT_END : this.forNow;
    const [, rows] = await Promise.all([
      tx.run(begin),
      tx.all(sql`select ${this.options.now()} as now ${forNow}`, { now: "int" }),
    ]);
    return rows[0]!.now;
  }

  private async commit(connection: Connection, statements: Statements): Promise<void> {
    const committed = this.send(connection, COMMIT, this.patienceMs);
    const word = statements.announced ? this.options.announcement() : null;
    // Behind the commit and on its way with it, which nobody waits for; nor does whoever has the connection next.
    const said = word && this.send(connection, this.statement(word), this.patienceMs).catch(noop);
    const { command } = await committed;
    if (!connection.pipelined) await said;
    // The server's answer to "commit" after a statement that failed and that nobody looked at.
    if (command !== "COMMIT")
      throw statements.failed ?? this.failure("the transaction was rolled back at its commit");
  }

  private async abandon(
    connection: Connection,
    statements: Statements,
    error: unknown,
  ): Promise<void> {
    const { source } = this;
    await statements.over();
    // Whoever asks next is to find the server that takes writes now.
    if (error instanceof DatabaseError && error.code === "QUDO_DATABASE_READ_ONLY") source.forget();
    const clean =
      connection.usable &&
      (await connection.send(ROLLBACK, this.patienceMs).then(
        () => true,
        () => false,
      ));
    source.release(connection, !clean);
  }

  private async acquire(): Promise<Connection> {
    try {
      return await this.source.acquire();
    } catch (error) {
      throw asDatabaseError(error, this.label, "connecting");
    }
  }

  private failure(what: string): DatabaseError {
    return new DatabaseError("QUDO_DATABASE_FAILED", `${this.label}: ${what}.`, true);
  }

  /** For {@link Statements}. */
  async send(
    connection: Connection,
    statement: Statement,
    patience: PatienceMs,
  ): Promise<QueryResult> {
    try {
      return await connection.send(statement, patience);
    } catch (error) {
      throw asDatabaseError(error, this.label);
    }
  }

  /** For {@link Statements}. */
  statement(query: Query): Statement {
    const { text, values } = render(query, placeholder);
    const encoded = values.map(encode);
    if (!this.settings.prepare || values.length === 0) return { text, values: encoded };
    return { text, values: encoded, name: this.nameOf(text) };
  }

  /** The same in every process and connection, and nobody else's. Undefined: it is not prepared. */
  private nameOf(text: string): string | undefined {
    let name = this.names.get(text);
    if (name === undefined && this.names.size < NAMES_MAX) {
      name = `qudo_${createHash("sha256").update(text).digest("base64url").slice(0, 24)}`;
      this.names.set(text, name);
    }
    return name;
  }
}

/** The statements of one body, on its connection, for as long as it lasts. */
class Statements implements Tx {
  announced = false;
  /** What went wrong first. */
  failed: unknown = null;
  private ended = false;
  private readonly underway = new Set<Promise<unknown>>();

  constructor(
    private readonly db: PostgresDatabase,
    private readonly connection: Connection,
    private readonly patience: PatienceMs,
  ) {}

  all<S extends Shape>(query: Query, shape: S): Promise<RowOf<S>[]> {
    return this.answer(query, ({ rows }) =>
      (rows as Record<string, unknown>[]).map((row) => decode(shape, row)),
    );
  }

  run(query: Query): Promise<number> {
    return this.answer(query, ({ rowCount }) => rowCount ?? 0);
  }

  announce(): void {
    this.announced = true;
  }

  /**
   * Nothing is sent any more, and all that was sent is answered: the connection can be somebody else's. Of several statements
   * that were sent together one may have failed, and the others may still have been on their way.
   */
  async over(): Promise<void> {
    this.ended = true;
    await Promise.allSettled(this.underway);
  }

  private answer<T>(query: Query, read: (result: QueryResult) => T): Promise<T> {
    if (this.ended) return Promise.reject(new Error("The transaction is over."));
    const sent = this.db.send(this.connection, this.db.statement(query), this.patience);
    const answer = sent.then(read).catch((error: unknown) => {
      // What was sent behind a failure is refused. Whichever of them is heard of first: the first one is told.
      throw (this.failed ??= error);
    });
    this.underway.add(answer);
    // Whoever sent several at once hears of the first failure only. The others are no news, and must not end the process.
    const answered = (): boolean => this.underway.delete(answer);
    answer.then(answered, answered);
    return answer;
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

function setForNow(settings: SessionSettings): Query {
  const parts = Object.entries(settings).map(
    ([name, value]) => `, set_config('${name}', '${value}', true)`,
  );
  return raw(parts.join(""));
}

const WITHOUT_END = setForNow(PATIENT_SETTINGS);

const noop = (): void => undefined;

function placeholder(n: number, value: Value): string {
  return value instanceof List ? `$${n}::${value.type}[]` : `$${n}`;
}

function encode(value: Value): unknown {
  if (value instanceof Id) return value.text;
  return value instanceof List ? value.values : value;
}

/** Full jitter: those who met once do not meet again. */
function pause(tries: number): Promise<void> {
  const longest = Math.min(PAUSE_MS, 2 ** Math.min(tries, 10));
  return new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
}

/** A connection of its own in the caller's thread, for those who cannot wait: each call is a transaction that has been committed when it returns. */
import { DatabaseError } from "../../core/errors.js";
import type { InsertOutcome, NewJob } from "../driver.js";
import { Connection, type ConnectionOptions } from "./connection.js";
import { asDatabaseError } from "./errors.js";
import { migrateNow } from "./schema.js";
import { userTransaction, type SqliteTransaction } from "./transaction.js";

export interface DirectOptions extends ConnectionOptions {
  readonly migrate: boolean;
  readonly clock?: (() => number) | undefined;
}

export class Direct implements SqliteTransaction {
  readonly complete: SqliteTransaction["complete"];
  private readonly db: Connection;
  private readonly transaction: SqliteTransaction;

  constructor({ migrate, clock, ...options }: DirectOptions) {
    this.db = Connection.openNow(options);
    try {
      if (migrate) migrateNow(this.db);
      this.transaction = userTransaction(this.db.handle, this.db.handle, clock);
    } catch (error) {
      this.db.close();
      throw error;
    }
    this.complete = this.transaction.complete;
  }

  insertJobs(jobs: readonly NewJob[]): InsertOutcome[] {
    try {
      return this.transaction.insertJobs(jobs);
    } catch (error) {
      // There is no transaction of the user's whose busy time-out could be raised.
      if (error instanceof DatabaseError && error.code === "QUDO_DATABASE_BUSY")
        throw asDatabaseError(error.cause, this.db.path);
      throw error;
    }
  }

  committed(): boolean {
    return true;
  }

  close(): void {
    this.db.close();
  }
}

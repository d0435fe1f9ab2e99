/** What is done with the databases of a Qudo as a whole: by whoever installs, upgrades and looks after them. */
import { examine, type DoctorReport } from "./client/doctor.js";
import { rename, setMode, type RenameOptions } from "./client/naming.js";
import type { BackupReport, CompactReport, Pruned, PruneOptions, Upkeep } from "./client/upkeep.js";
import { QudoError } from "./core/errors.js";
import type { DatabaseMode, Identity, MigrationReport } from "./storage/driver.js";
import { checkDatabaseName } from "./storage/list.js";
import type { Opening } from "./storage/open.js";

export abstract class Operating {
  protected abstract readonly upkeep: Upkeep;
  /** Out of reach of `inspect`, for an address may hold a password. */
  protected abstract opening(): Opening;

  /** Deletes now what was kept for long enough, by the times given, else by `keep` of this Qudo. Workers do it by themselves. */
  prune(options: PruneOptions = {}): Promise<Pruned> {
    return this.upkeep.prune(options);
  }

  /**
   * A consistent copy in a new file, made while others go on.
   * @throws QudoError QUDO_BACKUP_EXISTS, or QUDO_UNSUPPORTED where the database is no file.
   */
  backup(path: string): Promise<BackupReport> {
    return this.upkeep.backup(path);
  }

  /** Gives unused space back to the file system. @throws QudoError QUDO_UNSUPPORTED where the database is no file. */
  compact(): Promise<CompactReport> {
    return this.upkeep.compact();
  }

  /** Creates or upgrades the tables now. */
  migrate(): Promise<MigrationReport> {
    return this.opening().migrate();
  }

  /** What {@link migrate} would do now, as SQL that somebody may run in its place; "" where the tables are current. Changes nothing. */
  async migrationSql(): Promise<string> {
    return (await this.opening().open()).migrationSql();
  }

  /**
   * SQL for a server's administrator: roles with the least rights to migrate, to produce, to work and to view. Changes nothing.
   * @throws QudoError QUDO_UNSUPPORTED where the database is a file: there the file's own rights count.
   */
  async grants(): Promise<string> {
    const driver = await this.opening().open();
    if (driver.grants !== undefined) return driver.grants();
    throw new QudoError(
      "QUDO_UNSUPPORTED",
      `${driver.label} knows no roles. Who may use a file is said by the rights of the file and its folder.`,
    );
  }

  /** Which database this is, as people may see it: engine and place, never a password. */
  async label(): Promise<string> {
    return (await this.opening().open()).label;
  }

  /** Null when the database holds no qudo tables yet. */
  async schemaVersion(): Promise<number | null> {
    return (await this.opening().open()).schemaVersion();
  }

  /** Checks the database: that it takes writes, and that no invariant is broken. Of several each by itself, also when others are out. */
  async doctor(): Promise<DoctorReport> {
    return examine(await this.opening().existing());
  }

  /**
   * What one of several databases is used for: "drain" gives it no new jobs, "off" also claims nothing of it. It is written in the
   * database, and all who use it obey within seconds. What is tied to it by a transaction of yours still goes there.
   * @throws InvalidInputError QUDO_UNKNOWN_DATABASE; DatabaseError QUDO_DATABASE_OUT when it cannot be told.
   */
  async setMode(database: string, mode: DatabaseMode): Promise<void> {
    return setMode(await this.opening().ready(), database, mode);
  }

  /** Another name for this database, which from now on is to be used under it. For one that is opened alone. */
  async rename(name: string, options: RenameOptions = {}): Promise<Identity> {
    return rename(await this.opening().ready(), checkDatabaseName(name), options);
  }
}

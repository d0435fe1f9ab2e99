/** The file as a whole: a copy of it, and its size. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { InvalidInputError } from "../../core/errors.js";
import type { Connection } from "./connection.js";
import { asDatabaseError, isFromDatabase } from "./errors.js";

/**
 * A consistent copy as of one moment, made while others read and write: it holds a snapshot, no lock. It stands under its name
 * only when it is whole and on disk.
 * @throws InvalidInputError QUDO_BACKUP_EXISTS where something stands under that name already; it is left as it is.
 */
export async function backup(db: Connection, path: string): Promise<{ bytes: number }> {
  const target = resolve(path);
  const partial = `${target}.partial`;
  refuseExisting(target);
  createEmpty(partial);
  try {
    await db.outside(() => db.handle.prepare("vacuum into ?").run(partial), target);
    syncToDisk(partial);
    refuseExisting(target);
    renameSync(partial, target);
    syncToDisk(dirname(target));
    return { bytes: statSync(target).size };
  } catch (error) {
    rmSync(partial, { force: true });
    throw isFromDatabase(error) ? asDatabaseError(error, target) : error;
  }
}

function refuseExisting(target: string): void {
  if (existsSync(target))
    throw new InvalidInputError(
      "QUDO_BACKUP_EXISTS",
      `${target} is there already and was left as it is. Give a path that does not exist, or move the old file away.`,
    );
}

/** Readable for its owner only, as the database is; and this backup's alone. */
function createEmpty(partial: string): void {
  try {
    closeSync(openSync(partial, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw asDatabaseError(error, partial);
    throw new InvalidInputError(
      "QUDO_BACKUP_EXISTS",
      `${partial} is there already: another backup to this path is under way, or one was cut off. If none is, delete that file.`,
      { cause: error },
    );
  }
}

/** A file's bytes, or a folder's names. */
function syncToDisk(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } catch (error) {
    // Windows syncs no folders, and needs it not.
    if (process.platform !== "win32") throw error;
  } finally {
    closeSync(file);
  }
}

/** Builds the file anew without its unused pages. Nobody can write meanwhile, so that it is for quiet hours. */
export async function compact(
  db: Connection,
): Promise<{ bytesBefore: number; bytesAfter: number }> {
  const bytesBefore = await sizeOf(db);
  await db.outside(() => db.handle.exec("vacuum"));
  // What was built lies in the log beside the file; the file itself shrinks when it is carried over.
  await db.outside(() => db.handle.exec("pragma wal_checkpoint(truncate)"));
  return { bytesBefore, bytesAfter: await sizeOf(db) };
}

function sizeOf(db: Connection): Promise<number> {
  return db.read(() => {
    const { page_count: pages } = db.get<{ page_count: number }>("pragma page_count")!;
    const { page_size: bytes } = db.get<{ page_size: number }>("pragma page_size")!;
    return pages * bytes;
  });
}

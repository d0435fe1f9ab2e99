/**
 * The nudge: a file beside the database into which whoever has made jobs ready writes one byte, and which others watch. It only
 * says "look now": what is lost on the way is found by polling. Nothing ever reads the byte.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  statSync,
  watch,
  writeSync,
  type FSWatcher,
  type Stats,
} from "node:fs";

const BYTE = Buffer.from("!");

/** The file for a database; null for one in memory, whose writes no other process sees. */
export function nudgeFile(database: string): string | null {
  return database === "" || database === ":memory:" ? null : `${database}-nudge`;
}

/** Opened when it is first rung, and kept open: to ring is one write. */
export class Nudge {
  private file: number | null = null;

  constructor(private readonly path: string | null) {}

  /** After a commit. What cannot be rung is not: a full disk or a folder without rights must fail no enqueue. */
  ring(): void {
    if (this.path === null) return;
    try {
      // Somebody has cleaned up: those who watch have a new file.
      if (this.file !== null && fstatSync(this.file).nlink === 0) this.close();
      this.file ??= openFile(this.path);
      writeSync(this.file, BYTE, 0, 1, 0);
    } catch {
      this.close();
    }
  }

  close(): void {
    const { file } = this;
    this.file = null;
    if (file !== null) closeQuietly(file);
  }
}

/** Calls back for every nudge. Where the file cannot be watched, or not any more, `watching` is false. */
export class NudgeWatcher {
  private watcher: FSWatcher | null = null;
  private identity = "";

  constructor(
    private readonly path: string | null,
    private readonly onNudge: () => void,
  ) {
    this.open();
  }

  get watching(): boolean {
    return this.watcher !== null;
  }

  /** To be called now and then: a file that was deleted and made anew is watched anew. */
  check(): void {
    if (this.path === null || this.watcher === null) return;
    const found = statSync(this.path, { throwIfNoEntry: false });
    if (found !== undefined && identityOf(found) === this.identity) return;
    this.close();
    this.open();
  }

  private open(): void {
    if (this.path === null) return;
    try {
      const file = openFile(this.path);
      this.identity = identityOf(fstatSync(file));
      closeQuietly(file);
      this.watcher = watch(this.path, { persistent: false }, this.onNudge);
      this.watcher.on("error", () => this.close());
    } catch {
      // No rights, no watches left: the caller polls.
      this.close();
    }
  }

  close(): void {
    this.watcher?.close();
    this.watcher = null;
  }
}

/** A number of a deleted file is soon given to another: the time of its birth tells them apart. */
function identityOf({ ino, birthtimeMs }: Stats): string {
  return `${ino}/${birthtimeMs}`;
}

/** Made where it is missing, readable for its owner only as the database itself is. */
function openFile(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
}

function closeQuietly(file: number): void {
  try {
    closeSync(file);
  } catch {
    // It is gone either way.
  }
}

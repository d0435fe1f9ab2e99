/** Scanning and enqueueing. Done again after a kill it adds only what is missing: ids follow from run and path. */
import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Order, Qudo } from "qudo";
import type { FilePayload } from "./job.js";
import { shown, pathText } from "./paths.js";
import { orderFor, type IndexRun } from "./run.js";
import { scan } from "./scan.js";

const BATCH = 500;
const MOST_NOTES = 20;

export class Enqueueing {
  /** Files found so far. */
  files = 0;
  finished = false;
  /** What was left out, for the table. */
  readonly notes: string[] = [];
  /** Rejects when enqueueing failed. */
  readonly end: Promise<void>;

  constructor(
    private readonly qudo: Qudo,
    private readonly run: IndexRun,
    root: Buffer,
    database: string,
  ) {
    this.end = this.enqueue(root, ownFiles(root, database));
    this.end.catch(() => undefined);
  }

  private async enqueue(root: Buffer, own: ReadonlySet<string>): Promise<void> {
    let batch: Order<FilePayload>[] = [];
    const unreadable = (folder: Buffer, error: Error): void => this.leftOut(folder, error.message);
    for await (const path of scan(root, { unreadable })) {
      if (own.has(path.toString("latin1"))) {
        this.leftOut(path, "this queue's own database");
        continue;
      }
      batch.push(orderFor(this.run, path));
      if (batch.length < BATCH) continue;
      await this.add(batch);
      batch = [];
    }
    await this.add(batch);
    this.finished = true;
  }

  private async add(batch: readonly Order<FilePayload>[]): Promise<void> {
    await this.qudo.enqueueMany(batch);
    this.files += batch.length;
  }

  private leftOut(path: Buffer, why: string): void {
    if (this.notes.length < MOST_NOTES)
      this.notes.push(`left out          ${shown(pathText(path)) || "."}: ${why}`);
  }
}

/** The database changes while it is indexed: when it lies below the folder it is left out. */
function ownFiles(root: Buffer, database: string): Set<string> {
  if (!database.startsWith("sqlite:")) return new Set();
  const prefix = root.equals(Buffer.from("/")) ? root : Buffer.concat([root, Buffer.from("/")]);
  const given = resolve(database.replace(/^sqlite:(\/\/)?/, ""));
  const file = Buffer.from(join(realpathSync(dirname(given)), basename(given)));
  if (!file.subarray(0, prefix.length).equals(prefix)) return new Set();
  const path = file.subarray(prefix.length).toString("latin1");
  return new Set(["", "-wal", "-shm"].map((suffix) => path + suffix));
}

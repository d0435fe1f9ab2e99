/**
 * Wake-ups: `data_version` changes when another connection has committed, never by a commit of our own. Reading it touches
 * shared memory only. A nudge says when to read it at once; behind it it is read all the time.
 */
import type { Connection } from "./connection.js";
import { NudgeWatcher } from "./nudge.js";

/** Behind the nudge: a lost one costs this and the look that follows. */
const POLL_MS = 100;
/** Where nothing can be watched. */
const POLL_ALONE_MS = 25;
/** Nudges that come closer together than this are one. */
const GAP_MS = 1;
/** Time between two checks that the watched file is still the one that others write to. */
const CHECK_MS = 1_000;

export function subscribe(db: Connection, onChange: () => void): () => void {
  const subscription = new Subscription(db, onChange);
  return () => subscription.close();
}

class Subscription {
  private seen: number | null;
  private lookedAt = -Infinity;
  private checkedAt = performance.now();
  private soon: NodeJS.Timeout | undefined;
  private poll: NodeJS.Timeout | undefined;
  private readonly watcher: NudgeWatcher;

  constructor(
    private readonly db: Connection,
    private readonly onChange: () => void,
  ) {
    this.seen = dataVersion(db);
    this.watcher = new NudgeWatcher(db.nudgePath, () => this.nudged());
    this.planPoll();
  }

  /** The first of a storm is answered at once, the others by one look after it: the last is never lost. */
  private nudged(): void {
    if (this.soon !== undefined) return;
    if (performance.now() - this.lookedAt >= GAP_MS) return this.look();
    this.soon = setTimeout(() => {
      this.soon = undefined;
      this.look();
    }, GAP_MS);
    this.soon.unref();
  }

  private look(): void {
    this.lookedAt = performance.now();
    const version = dataVersion(this.db);
    if (version === this.seen) return;
    this.seen = version;
    this.onChange();
  }

  private planPoll(): void {
    this.poll = setTimeout(
      () => {
        this.look();
        this.checkWatcher();
        this.planPoll();
      },
      this.watcher.watching ? POLL_MS : POLL_ALONE_MS,
    );
    this.poll.unref();
  }

  private checkWatcher(): void {
    if (performance.now() - this.checkedAt < CHECK_MS) return;
    this.checkedAt = performance.now();
    this.watcher.check();
  }

  close(): void {
    clearTimeout(this.soon);
    clearTimeout(this.poll);
    this.watcher.close();
  }
}

/** A closed or broken connection tells nothing: the poll behind the wake-up finds out why. */
function dataVersion(db: Connection): number | null {
  try {
    return db.get<{ data_version: number }>("pragma data_version")?.data_version ?? null;
  } catch {
    return null;
  }
}

/**
 * Tells others, after a commit, that jobs are ready. A NOTIFY inside the transaction itself would make all commits of a database
 * wait for one another; one after it costs nobody anything. At once for the first, then at most one every 5 ms.
 */
import { createHash } from "node:crypto";
import type { Database } from "../sql/database.js";
import { sql, type Query } from "../sql/query.js";
import type { Names } from "./schema.js";

const GAP_MS = 5;

/** PostgreSQL cuts names after 63 bytes, and refuses longer ones here. */
const NAME_MAX = 63;

/** The channel of these tables. */
export function channelOf({ schema, prefix }: Names): string {
  const name = `qudo:${schema}.${prefix}`;
  if (name.length <= NAME_MAX) return name;
  return `qudo:${createHash("sha256").update(name).digest("hex").slice(0, 32)}`;
}

export class Notifier {
  private timer: NodeJS.Timeout | undefined;
  private sending: Promise<void> = Promise.resolve();
  private again = false;

  constructor(
    private readonly db: Pick<Database, "look">,
    private readonly channel: string,
    /** Stands in each word, so that nobody is woken by their own. */
    private readonly self: string,
  ) {}

  /** Something is about to be committed that others are to be told of: what to send right behind the commit, if anything. */
  ring(): Query | null {
    this.again = this.timer !== undefined;
    if (this.again) return null;
    this.rest(Promise.resolve());
    return this.word;
  }

  /** Resolves when the last word is out. */
  async close(): Promise<void> {
    clearTimeout(this.timer);
    if (this.again) this.send();
    clearTimeout(this.timer);
    await this.sending;
  }

  /** What a lost word would have told is found by polling: nobody waits for the disk to have it. */
  private get word(): Query {
    const { channel, self } = this;
    return sql`select set_config('synchronous_commit', 'off', true), pg_notify(${channel}, ${self})`;
  }

  private rest(after: Promise<void>): void {
    this.timer = setTimeout(() => void after.then(() => this.rested()), GAP_MS);
  }

  private rested(): void {
    this.timer = undefined;
    if (this.again) this.send();
  }

  private send(): void {
    this.again = false;
    this.sending = this.db.look((tx) => tx.run(this.word)).then(noop, noop);
    this.rest(this.sending);
  }
}

const noop = (): void => undefined;

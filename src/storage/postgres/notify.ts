/**
 * Tells others, after a commit, that jobs are ready. A NOTIFY inside the transaction itself would make all commits of a database
 * wait for one another; one after it costs nobody anything. At once for the first, then at most one every 5 ms.
 */
import { createHash } from "node:crypto";
import type { Database } from "../sql/database.js";
import { sql } from "../sql/query.js";
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

  ring(): void {
    if (this.timer === undefined) this.send();
    else this.again = true;
  }

  /** Resolves when the last word is out. */
  async close(): Promise<void> {
    clearTimeout(this.timer);
    if (this.again) this.send();
    clearTimeout(this.timer);
    await this.sending;
  }

  private send(): void {
    this.again = false;
    const sent = this.notify();
    this.sending = sent;
    this.timer = setTimeout(() => void sent.then(() => this.rest()), GAP_MS);
  }

  private rest(): void {
    this.timer = undefined;
    if (this.again) this.send();
  }

  /** A word that gets lost is found by polling. */
  private async notify(): Promise<void> {
    const { db, channel, self } = this;
    await db
      .look((tx) => tx.run(sql`select pg_notify(${channel}, ${self})`))
      .catch(() => undefined);
  }
}

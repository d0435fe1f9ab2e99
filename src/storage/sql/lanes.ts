/** Ids of lanes, by name. */
import type { Database } from "./database.js";
import type { Dialect } from "./dialect.js";
import { join, sql } from "./query.js";
import type { Shape } from "./rows.js";

export interface LaneName {
  readonly queue: string;
  readonly kind: string;
}

const LANE = { id: "int", queue: "text", kind: "text" } as const satisfies Shape;
export const NAME = { queue: "text", kind: "text" } as const satisfies Shape;

/** Lanes are never deleted and never change their names: what was seen committed once is true for ever. */
export class Lanes {
  private readonly known = new Map<string, number>();

  constructor(
    private readonly db: Database,
    private readonly dialect: Dialect,
  ) {}

  /**
   * Ids of all these lanes, by {@link keyOf}; those nobody has used yet are made in a transaction of their own, so that no
   * other one holds them while it waits for something.
   */
  async ids(names: Iterable<LaneName>): Promise<ReadonlyMap<string, number>> {
    const missing = new Map<string, LaneName>();
    for (const { queue, kind } of names)
      if (!this.known.has(keyOf({ queue, kind })))
        missing.set(keyOf({ queue, kind }), { queue, kind });
    if (missing.size > 0) await this.make([...missing.values()]);
    return this.known;
  }

  /** Of a lane that was seen committed; undefined for others. */
  seen(name: LaneName): number | undefined {
    return this.known.get(keyOf(name));
  }

  private async make(names: readonly LaneName[]): Promise<void> {
    const { lane } = this.dialect.tables;
    const named = join(
      names.map(({ queue, kind }) => sql`(queue = ${queue} and kind = ${kind})`),
      " or ",
    );
    const find = sql`select id, queue, kind from ${lane} where ${named}`;
    let found = await this.db.look((tx) => tx.all(find, LANE));
    if (found.length < names.length) {
      // Looked first: an insert that is left alone would use up numbers all the same.
      const there = new Set(found.map(keyOf));
      const rows = names.filter((name) => !there.has(keyOf(name)));
      const insert = this.dialect.insert(lane, NAME, rows, "leave");
      await this.db.transaction((tx) => tx.run(insert));
      found = await this.db.look((tx) => tx.all(find, LANE));
    }
    for (const { id, queue, kind } of found) this.known.set(keyOf({ queue, kind }), id);
  }
}

/** A lane's name as one text. */
export function keyOf({ queue, kind }: LaneName): string {
  return `${queue}\0${kind}`;
}

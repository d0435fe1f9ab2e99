/** What a list is narrowed by: conditions with the values that go into them, in order. */
import type { LaneFilter } from "../sql/views.js";
import type { Value } from "./connection.js";

export class Conditions {
  readonly values: Value[] = [];
  private readonly all: string[] = [];

  /** As many values as it has question marks. */
  add(condition: string, ...values: readonly Value[]): void {
    this.all.push(condition);
    this.values.push(...values);
  }

  /** The lane `l` is one that the query asks for. */
  lane({ queue, kind, kinds }: LaneFilter): void {
    if (queue !== undefined) this.add("l.queue = ?", queue);
    if (kind !== undefined) this.add("l.kind = ?", kind);
    if (kinds !== undefined) this.add(`l.kind in (${kinds.map(() => "?").join(", ")})`, ...kinds);
  }

  get text(): string {
    return this.all.length === 0 ? "true" : this.all.join(" and ");
  }
}

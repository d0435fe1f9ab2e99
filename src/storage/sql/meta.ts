/** Who a database is, as rows of its table meta. The same on every engine. */
import type { DatabaseMode, Identity } from "../driver.js";

/** Random, made with the tables; what it is called among several; whether it takes jobs and gives them out. */
export const IDENTITY_ROWS = ["database_id", "name", "mode"] as const;

export type IdentityRow = (typeof IDENTITY_ROWS)[number];

/** One row of meta. */
export interface MetaRow {
  readonly name: string;
  readonly value: string;
}

/** Undefined where it has no id yet. */
export function identityOf(rows: readonly MetaRow[]): Identity | undefined {
  const value = (wanted: IdentityRow): string | undefined =>
    rows.find(({ name }) => name === wanted)?.value;
  const id = value("database_id");
  if (id === undefined) return undefined;
  return { id, name: value("name") ?? null, mode: modeOf(value("mode")) };
}

/** Another word is of a later release: what it means is not known here, so that nothing is put there and nothing taken. */
function modeOf(value: string | undefined): DatabaseMode {
  if (value === undefined || value === "active") return "active";
  return value === "drain" ? "drain" : "off";
}

/** A migration as a text for people: what is done, in order, and the rows that say that it was. */
import { newId } from "../ids.js";

/** What there is to do. */
export interface Script {
  /** Version found, null for none, and version afterwards. */
  readonly from: number | null;
  readonly to: number;
  /** The table meta as statements name it. */
  readonly meta: string;
  /** All that is still to be done, without semicolons at the ends. */
  readonly statements: readonly string[];
}

/** "" where there is nothing to do. Whoever runs it has done what `migrate` does: the version is among what it writes. */
export function migrationScript({ from, to, meta, statements }: Script): string {
  if (from === to) return "";
  const what = from === null ? "creates its tables" : `upgrades its tables from version ${from}`;
  const rows =
    from === null
      ? [
          `insert into ${meta} (name, value) values ('database_id', '${newId()}')`,
          `insert into ${meta} (name, value) values ('schema_version', '${to}')`,
        ]
      : [`update ${meta} set value = '${to}' where name = 'schema_version'`];
  const all = [...statements, ...rows].map((statement) => `${statement.trim()};`);
  return [`-- qudo ${what}, to version ${to}`, ...all, ""].join("\n\n");
}

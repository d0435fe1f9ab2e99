/** Jobs that took the place of one that is done. */
import { idBytes, idText, uniqueHash } from "../../core/ids.js";
import type { ChildOutcome, NewJob } from "../driver.js";
import type { Engine } from "./engine.js";
import { SQL } from "./statements.js";

/** The settlement is sent again: what became of the child then. */
export function findChild({ db }: Engine, child: NewJob): ChildOutcome {
  if (db.get(SQL.jobExists, idBytes(child.id)) !== undefined) return { status: "duplicate" };
  // Nothing is pruned so early: it was not inserted, because another job had its key.
  const hash = uniqueHash(child.kind, child.uniqueKey ?? "");
  const row = db.get<{ job_id: Uint8Array }>(SQL.uniqueHolder, hash);
  return { status: "unique", holder: row === undefined ? null : idText(row.job_id) };
}

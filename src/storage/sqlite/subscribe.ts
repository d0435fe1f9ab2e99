/** Wake-ups: `data_version` changes when another connection has committed. Reading it touches shared memory only. */
import type { Connection } from "./connection.js";

const POLL_MS = 25;

export function subscribe(db: Connection, onChange: () => void): () => void {
  let seen = dataVersion(db);
  const timer = setInterval(() => {
    const version = dataVersion(db);
    if (version === seen) return;
    seen = version;
    onChange();
  }, POLL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** A closed or broken connection tells nothing: the poll behind the wake-up finds out why. */
function dataVersion(db: Connection): number | null {
  try {
    return db.get<{ data_version: number }>("pragma data_version")?.data_version ?? null;
  } catch {
    return null;
  }
}

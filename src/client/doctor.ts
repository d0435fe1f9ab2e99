/** Whether databases take writes, and whether what is in them is consistent: each of several by itself. */
import { QudoError } from "../core/errors.js";
import type { Driver, Violation } from "../storage/driver.js";

/** What was found. */
export interface DoctorReport {
  /** Which database, or which several, as people may see it. */
  readonly label: string;
  /** Broken invariants, of all that could be looked at. */
  readonly violations: readonly Violation[];
  /** Each database by itself; one where there is one. */
  readonly databases: readonly DatabaseReport[];
}

/** What was found in one database. */
export interface DatabaseReport {
  /** Its name among several; null where there is one only. */
  readonly name: string | null;
  /** Engine and place, never a password. */
  readonly label: string;
  /** Version of its tables; null where it could not be asked. */
  readonly schema: number | null;
  readonly violations: readonly Violation[];
  /** Why it could not be looked at, or takes no writes; null where all is well. */
  readonly error: Error | null;
}

/** Of several databases one that cannot be looked at is told in its report; one by itself throws. */
export async function examine(driver: Driver): Promise<DoctorReport> {
  const { label, parts } = driver;
  const databases =
    parts === undefined
      ? [{ name: null, label, error: null, ...(await findingsIn(driver)) }]
      : await Promise.all(parts.map(({ name, driver: part }) => reportOn(name, part)));
  return { label, violations: databases.flatMap(({ violations }) => violations), databases };
}

async function reportOn(name: string, driver: Driver): Promise<DatabaseReport> {
  const { label } = driver;
  try {
    // First, so that one with a wrong name is called so, and not looked into.
    await driver.identify();
    const { schema, violations } = await findingsIn(driver);
    const named = violations.map((violation) => ({ ...violation, database: name }));
    return { name, label, schema, violations: named, error: null };
  } catch (error) {
    if (!(error instanceof QudoError)) throw error;
    return { name, label, schema: null, violations: [], error };
  }
}

async function findingsIn(driver: Driver): Promise<Pick<DatabaseReport, "schema" | "violations">> {
  await driver.ping();
  return { violations: await driver.audit(), schema: await driver.schemaVersion() };
}

/** What a law is, and how one is run against one database. */
import type { Violation } from "../../storage/driver.js";
import { CAPABILITIES, Harness, type Capability, type TestDatabase } from "./harness.js";

/** One thing that holds for every engine, always. */
export interface Law {
  /** "topic.what-holds": stable, so that engines' reports can be compared. */
  readonly id: string;
  /** One sentence that says what always holds. */
  readonly law: string;
  /** What it needs beyond a driver; where that is missing the law is skipped with the reason. */
  readonly requires?: readonly Capability[];
  /** True for laws about migration: they are given a database without tables. Default false. */
  readonly unmigrated?: boolean;
  run(h: Harness): Promise<void>;
}

/** An engine under test: opens one fresh, empty database for each law. */
export interface Fixture {
  readonly name: string;
  readonly capabilities: readonly Capability[];
  open(): Promise<TestDatabase>;
}

/** A law that was run held; one whose needs the fixture lacks was skipped, and says why. */
export type LawResult =
  | { readonly status: "held" }
  | { readonly status: "skipped"; readonly reason: string };

/** A law that this engine breaks; `cause` says how. */
export class LawBrokenError extends Error {
  override readonly name = "LawBrokenError";
  constructor(
    readonly law: Law,
    cause: unknown,
  ) {
    const how = cause instanceof Error ? cause.message : String(cause);
    super(`${law.id} is broken. ${law.law}\n${how}`, { cause });
  }
}

/**
 * Runs one law against a fresh database of this fixture. After every law the invariants I1 to I6 are looked for in the data.
 * @throws LawBrokenError when the law, or an invariant after it, does not hold.
 */
export async function runLaw(law: Law, fixture: Fixture): Promise<LawResult> {
  const missing = (law.requires ?? []).find((need) => !fixture.capabilities.includes(need));
  if (missing !== undefined)
    return { status: "skipped", reason: `${fixture.name}: ${CAPABILITIES[missing]}` };
  const database = await fixture.open();
  const h = new Harness(database);
  try {
    if (law.unmigrated !== true) await database.driver.migrate();
    await law.run(h);
    refuse(await database.driver.audit());
    return { status: "held" };
  } catch (cause) {
    throw new LawBrokenError(law, cause);
  } finally {
    await h.end();
    await database.close();
  }
}

function refuse(violations: readonly Violation[]): void {
  if (violations.length === 0) return;
  const lines = violations.map(
    (v) => `  ${v.invariant} ${v.job ?? "-"} run ${v.run ?? "-"}: ${v.detail}`,
  );
  throw new Error(`The audit found violations:\n${lines.join("\n")}`);
}

/** Whether the databases are those that they are taken for: told by what is written in them, whenever one is opened. */
import { InvalidInputError } from "../../core/errors.js";
import type { DatabaseMode, Driver, Identity, Part } from "../driver.js";
import { endsWithin, REAL, type Surroundings } from "./surroundings.js";

const FROM_LENIENT: readonly DatabaseMode[] = ["active", "drain", "off"];

/** Of what the configuration says and what the database says, what allows less. */
export function stricter(one: DatabaseMode, other: DatabaseMode): DatabaseMode {
  return FROM_LENIENT[Math.max(FROM_LENIENT.indexOf(one), FROM_LENIENT.indexOf(other))]!;
}

/** So long the first call waits for databases that do not answer. */
const WAIT_MS = 1_000;

/** So long one that has another's name waits until that one is asked, too. */
const OTHER_MS = 500;

/** Who was asked so far, under which name. One for all parts of a list. */
export class Identities {
  private readonly asked = new Map<string, Promise<Identity>>();
  /** Those who wait for one to be asked, by its name. */
  private readonly onAsked = new Set<{ readonly name: string; readonly resolve: () => void }>();

  /** `names`: of all in the list. */
  constructor(
    private readonly names: readonly string[] = [],
    private readonly surroundings: Pick<Surroundings, "later"> = REAL,
  ) {}

  /**
   * Called with what `identify(name)` of a database is about to answer, before anything else is done with it. Of two names for
   * one database the one that is not written in it is refused.
   * @throws InvalidInputError QUDO_DATABASE_SWAPPED, QUDO_DATABASE_TWICE: the configuration is wrong, and trying again mends nothing.
   */
  async check(
    { name, label }: { readonly name: string; readonly label: string },
    answer: Promise<Identity>,
  ): Promise<Identity> {
    this.asked.set(name, answer);
    for (const one of this.onAsked) if (one.name === name) one.resolve();
    const identity = await answer;
    if (identity.name === name) return identity;
    if (identity.name !== null) await this.untilAsked(identity.name);
    // Also those whose answer is on its way: all of them may have been asked at once.
    for (const [other, theirs] of this.asked) {
      if (other === name) continue;
      const known = await theirs.catch(() => null);
      if (known?.id === identity.id) throw twice(other, name, label);
    }
    if (identity.name === null) return identity;
    throw swapped(name, label, identity.name);
  }

  /** Whether two were swapped or one is there twice, the one of that name tells; unless it is out. */
  private async untilAsked(name: string): Promise<void> {
    if (!this.names.includes(name) || this.asked.has(name)) return;
    const asked = new Promise<void>((resolve) => this.onAsked.add({ name, resolve }));
    await endsWithin(asked, OTHER_MS, this.surroundings);
    for (const one of this.onAsked) if (one.name === name) this.onAsked.delete(one);
  }
}

/**
 * Resolves when each of them has said who it is, or can say nothing now: those are asked again when they are needed.
 * @throws InvalidInputError when one is another than it is called.
 */
export async function refuseWrongOnes(
  parts: readonly Part[],
  surroundings: Surroundings = REAL,
): Promise<void> {
  await endsWithin(Promise.all(parts.map(({ driver }) => answerOf(driver))), WAIT_MS, surroundings);
}

/** One that is out, or cannot be opened, is no mistake of whoever made the list. */
async function answerOf(driver: Driver): Promise<void> {
  try {
    await driver.identify();
  } catch (error) {
    if (error instanceof InvalidInputError) throw error;
  }
}

function twice(one: string, other: string, label: string): InvalidInputError {
  return new InvalidInputError(
    "QUDO_DATABASE_TWICE",
    `${one} and ${other} are one database (${label}): each job would be worked on under two names. Leave one of them out, or give it the address of another database. One that was made as a copy of the other needs an identity of its own: qudo database rename ${other} --copy --database ${label}`,
  );
}

function swapped(name: string, label: string, stored: string): InvalidInputError {
  return new InvalidInputError(
    "QUDO_DATABASE_SWAPPED",
    `The database that is configured as ${name} (${label}) says that it is ${stored}. Give each database the name that stands in it; the addresses of ${name} and ${stored} may be swapped. If it is to be called ${name} from now on: qudo database rename ${name} --database ${label}`,
  );
}

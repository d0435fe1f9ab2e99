/** Several databases as one under the laws, put together of fixtures of one database each. */
import type { DatabaseMode, Driver, InsertOutcome, NewJob } from "../../../src/storage/driver.js";
import { openSeveral, oneDriver } from "../../../src/storage/several/index.js";
import { partsOf } from "../../../src/storage/several/part.js";
import type { SeveralPlan } from "../../../src/storage/several/plan.js";
import { REAL } from "../../../src/storage/several/surroundings.js";
import type { Clock, Fixture, TestDatabase } from "../../../src/testing/index.js";

const NAMES = ["a", "b", "c"];

/** As users have them; but new jobs go into one of them only, for which all laws hold. The others are there, and drain. */
export function several(name: string, fixtures: readonly Fixture[], active: number): Fixture {
  return listOf(name, fixtures, (databases, open) => {
    const modes = databases.map((_, i): DatabaseMode => (i === active ? "active" : "drain"));
    return openSeveral(planOf(databases, modes, open), { migrate: false });
  });
}

/**
 * New jobs go into each in turn, so that it is not left to chance whether a law holds; and claims begin with the last one, to which the
 * earlier jobs did not go. Jobs with one id, or one unique key, go into one database, as they do by `placement: "hash"`.
 */
export function inTurn(name: string, fixtures: readonly Fixture[]): Fixture {
  return listOf(name, fixtures, (databases, open, known) => {
    const plan = planOf(
      databases,
      databases.map(() => "active"),
      open,
    );
    const parts = partsOf(plan, { migrate: false, surroundings: REAL });
    const place = ({ id, kind, uniqueKey }: NewJob): number => {
      const name = uniqueKey === null ? id : `${kind} ${uniqueKey}`;
      const at = known.get(id) ?? known.get(name) ?? known.next % parts.length;
      known.set(id, at).set(name, at);
      return at;
    };
    const insertJobs = async (jobs: readonly NewJob[]): Promise<InsertOutcome[]> => {
      const places = jobs.map(place);
      const outcomes: InsertOutcome[] = [];
      for (const [at, { driver }] of parts.entries()) {
        const mine = jobs.flatMap((_, i) => (places[i] === at ? i : []));
        if (mine.length === 0) continue;
        const some = await driver.insertJobs(mine.map((i) => jobs[i]!));
        mine.forEach((i, n) => (outcomes[i] = some[n]!));
      }
      return outcomes;
    };
    return oneDriver(parts, insertJobs, { turns: () => parts.toReversed() });
  });
}

/** Where jobs went. */
class Known extends Map<string, number> {
  private turns = 0;

  get next(): number {
    return this.turns++;
  }
}

type Open = (database: TestDatabase) => Promise<Driver>;

function listOf(
  name: string,
  fixtures: readonly Fixture[],
  /** `known` is shared by all connections. */
  over: (databases: readonly TestDatabase[], open: Open, known: Known) => Driver,
): Fixture {
  return {
    name,
    // Each has an identity of its own, and as many commits as there are databases are no fixed number.
    capabilities: (["clock", "wakeups"] as const).filter((need) =>
      fixtures.every(({ capabilities }) => capabilities.includes(need)),
    ),
    async open() {
      const databases: TestDatabase[] = [];
      for (const fixture of fixtures) databases.push(await fixture.open());
      const known = new Known();
      const first = over(databases, kept, known);
      return {
        driver: nameless(first),
        connect: async () => nameless(over(databases, (database) => database.connect(), known)),
        clock: clockOf(databases),
        close: async () => {
          await first.close();
          for (const database of databases) await database.close();
        },
      };
    },
  };
}

/** Its first connection, which is closed with it. */
const kept: Open = async ({ driver }) => ({ ...driver, close: () => Promise.resolve() });

function planOf(
  databases: readonly TestDatabase[],
  modes: readonly DatabaseMode[],
  open: Open,
): SeveralPlan {
  const parts = databases.map((database, i) => ({
    name: NAMES[i]!,
    label: database.driver.label,
    weight: 1,
    mode: modes[i]!,
    open: () => open(database),
  }));
  return { parts, placement: "spread", retryMs: 1_000 };
}

/** All clocks stand at one time, and are moved together. */
function clockOf(databases: readonly TestDatabase[]): Clock {
  const clocks = databases.map(({ clock }) => clock!);
  return {
    now: () => clocks[0]!.now(),
    advance: (ms) => {
      for (const clock of clocks) clock.advance(ms);
    },
  };
}

/** Laws know of one database, and compare whole answers: that these also say where each job is, is looked at elsewhere. */
function nameless(driver: Driver): Driver {
  const operations = Object.entries(driver).map(([name, value]): [string, unknown] => {
    if (typeof value !== "function") return [name, value];
    return [
      name,
      (...values: unknown[]): unknown => {
        const answer: unknown = Reflect.apply(value, driver, values);
        return answer instanceof Promise ? answer.then(withoutNames) : answer;
      },
    ];
  });
  return Object.fromEntries(operations) as unknown as Driver;
}

function withoutNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNames);
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  const fields = Object.entries(value).filter(([name]) => name !== "database");
  return Object.fromEntries(fields.map(([name, field]) => [name, withoutNames(field)]));
}

/** Several databases as one under the laws, put together of fixtures of one database each. */
import type { DatabaseMode, Driver } from "../../../src/storage/driver.js";
import type { Placement } from "../../../src/storage/database.js";
import { openSeveral } from "../../../src/storage/several/index.js";
import type { Clock, Fixture, TestDatabase } from "../../../src/testing/index.js";

const NAMES = ["a", "b", "c", "d"];

/** What laws are told of a list. */
interface Listed {
  readonly fixture: Fixture;
  /** Default "active". */
  readonly mode?: DatabaseMode;
}

/** `placement`: with "hash" unique keys are unique over all of them. */
export function several(name: string, list: readonly Listed[], placement: Placement): Fixture {
  const fixtures = list.map(({ fixture }) => fixture);
  const modes = list.map(({ mode = "active" }) => mode);
  return {
    name,
    // Each has an identity of its own, and as many commits as there are databases are no fixed number.
    capabilities: (["clock", "wakeups"] as const).filter((need) =>
      fixtures.every(({ capabilities }) => capabilities.includes(need)),
    ),
    async open() {
      const databases: TestDatabase[] = [];
      for (const fixture of fixtures) databases.push(await fixture.open());
      const over = (open: (database: TestDatabase) => Promise<Driver>): Driver =>
        nameless(openSeveral(planOf(databases, modes, placement, open), { migrate: false }));
      const driver = over(async (database) => ({
        ...database.driver,
        // It is closed with its database.
        close: () => Promise.resolve(),
      }));
      return {
        driver,
        connect: async () => over((database) => database.connect()),
        clock: clockOf(databases),
        close: async () => {
          await driver.close();
          for (const database of databases) await database.close();
        },
      };
    },
  };
}

function planOf(
  databases: readonly TestDatabase[],
  modes: readonly DatabaseMode[],
  placement: Placement,
  open: (database: TestDatabase) => Promise<Driver>,
) {
  const parts = databases.map((database, i) => ({
    name: NAMES[i]!,
    label: database.driver.label,
    weight: 1,
    mode: modes[i]!,
    open: () => open(database),
  }));
  return { parts, placement, retryMs: 1_000 };
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

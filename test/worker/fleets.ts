/** Workers over several databases, made by hand: real databases that can be cut off, and the fleet over them. */
import { afterEach } from "vitest";
import { DatabaseError } from "../../src/core/errors.js";
import { registry, type AnyJobDefinition } from "../../src/core/job.js";
import type { QudoEvents } from "../../src/core/events.js";
import type { WorkerOptions } from "../../src/index.js";
import type { DatabaseMode, Driver } from "../../src/storage/driver.js";
import { openDatabase } from "../../src/storage/open.js";
import { Identities } from "../../src/storage/several/identity.js";
import { DatabasePart } from "../../src/storage/several/part.js";
import { REAL } from "../../src/storage/several/surroundings.js";
import { Fleet } from "../../src/worker/fleet.js";
import { workerSettings } from "../../src/worker/options.js";
import type { Surroundings } from "../../src/worker/surroundings.js";
import { newDatabase, silent } from "./support.js";

/** One database of a fleet, and what stands between it and the workers. */
export class Sea {
  /** Refuses every operation, as if nobody answered. */
  down = false;
  /** Is not told of what others write. */
  deaf = false;
  /** Operations that were tried while it was down. */
  tries: string[] = [];
  /** Before each operation: a wait, or an error. */
  before: (operation: string) => Promise<void> | void = () => undefined;
  readonly part: DatabasePart;

  private constructor(
    readonly name: string,
    /** The database itself. */
    readonly driver: Driver,
    options: { mode?: DatabaseMode; retryMs?: number },
  ) {
    const { mode = "active", retryMs = 100 } = options;
    const shared = { migrate: true, retryMs, surroundings: REAL, identities: new Identities() };
    const open = async (): Promise<Driver> => this.through();
    this.part = new DatabasePart({ name, label: driver.label, weight: 1, mode, open }, shared);
  }

  static async open(
    name: string,
    options: { mode?: DatabaseMode; retryMs?: number; database?: string } = {},
  ): Promise<Sea> {
    const driver = await openDatabase(options.database ?? newDatabase());
    await driver.migrate();
    const sea = new Sea(name, driver, options);
    seas.push(sea);
    return sea;
  }

  private through(): Driver {
    return new Proxy(this.driver, {
      get: (driver, name: keyof Driver) => {
        const own = driver[name];
        if (name === "subscribe" && this.deaf) return () => () => undefined;
        if (typeof own !== "function" || name === "subscribe" || name === "listens") return own;
        return async (...values: never[]): Promise<unknown> => {
          await this.before(name);
          if (this.down) {
            this.tries.push(name);
            throw new DatabaseError("QUDO_DATABASE_UNREACHABLE", "nobody answers", true);
          }
          return (own as (...values: never[]) => unknown).apply(driver, values);
        };
      },
    });
  }

  get state(): string {
    return this.part.status().state;
  }
}

const seas: Sea[] = [];
const fleets: Fleet[] = [];

afterEach(async () => {
  for (const sea of seas) {
    sea.down = false;
    sea.before = () => undefined;
  }
  await Promise.allSettled(fleets.splice(0).map((fleet) => fleet.stop({ grace: 0 })));
  for (const sea of seas.splice(0)) {
    await sea.part.close();
    await sea.driver.close();
  }
});

/** Two of them, "a" and "b". */
export async function twoSeas(
  options: { mode?: DatabaseMode; retryMs?: number } = {},
): Promise<[a: Sea, b: Sea]> {
  return [await Sea.open("a", options), await Sea.open("b", options)];
}

export interface Told {
  readonly fleet: Fleet;
  readonly lines: readonly string[];
  /** All events, as they came. */
  readonly events: readonly { name: string; event: QudoEvents[keyof QudoEvents] }[];
}

export function newFleet(
  jobs: readonly AnyJobDefinition[],
  of: readonly Sea[],
  options: WorkerOptions = {},
  more: Surroundings = {},
): Told {
  const known = registry(jobs);
  const logger = silent();
  const events: { name: string; event: QudoEvents[keyof QudoEvents] }[] = [];
  const emit = Object.assign(
    (name: keyof QudoEvents, make: () => QudoEvents[keyof QudoEvents]): void =>
      void events.push({ name, event: make() }),
    { listening: () => true },
  ) as NonNullable<Surroundings["emit"]>;
  const settings = workerSettings({ logger, ...options }, known);
  const parts = of.map(({ part }) => part);
  const fleet: Fleet = new Fleet(parts, known, settings, (database) => ({
    onWork: () => fleet.wake(database),
    emit,
    ...more,
  }));
  fleets.push(fleet);
  return { fleet, lines: logger.lines, events };
}

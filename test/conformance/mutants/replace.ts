/** Broken replacements: jobs in the place of one that is done. */
import { idBytes } from "../../../src/core/ids.js";
import type {
  Driver,
  NewJob,
  SettleGroup,
  Settlement,
  Trip,
  TripOutcome,
} from "../../../src/storage/driver.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, FREE_ANYWAY, type Mutant } from "./mutant.js";

const childrenOf = (trip: Trip): NewJob[] =>
  trip.settle.flatMap(({ settlements }) => settlements.flatMap(({ children = [] }) => children));

const childless = (settlement: Settlement): Settlement =>
  Object.fromEntries(
    Object.entries(settlement).filter(([name]) => name !== "children"),
  ) as unknown as Settlement;

const without = (trip: Trip): Trip => ({
  ...trip,
  settle: trip.settle.map((group): SettleGroup => ({
    ...group,
    settlements: group.settlements.map(childless),
  })),
});

/** As it would be done by whoever inserts the children in a transaction of its own. */
async function apart(driver: Driver, trip: Trip, first: boolean): Promise<TripOutcome> {
  const children = childrenOf(trip);
  if (children.length === 0) return driver.trip(trip);
  const before = first ? await driver.insertJobs(children) : [];
  const outcome = await driver.trip(without(trip));
  const after = first ? before : await driver.insertJobs(children);
  const replaced = trip.settle.flatMap(({ settlements }, g) =>
    settlements
      .filter((settlement, i) => settlement.children && outcome.settled[g]![i] === "accepted")
      .map(({ job, run, children: own }) => ({
        job,
        run,
        children: own!.map((child) => after[children.indexOf(child)]!),
      })),
  );
  return replaced.length === 0 ? outcome : { ...outcome, replaced };
}

export const replaceMutants: readonly Mutant[] = [
  {
    name: "children-forgotten",
    breaks: "The run is done, and its children are not inserted.",
    caughtBy: ["replace.children", "replace.each-its-own"],
    wrap: (driver) => ({ ...driver, trip: (trip) => driver.trip(without(trip)) }),
  },
  {
    name: "children-before-the-end",
    breaks:
      "The children are inserted before it is known whether the run's end counts, and while it has its key.",
    caughtBy: ["replace.not-when-lost", "replace.hands-its-key-over"],
    wrap: (driver) => ({ ...driver, trip: (trip) => apart(driver, trip, true) }),
  },
  {
    name: "children-again",
    breaks: "A settlement that is sent again tries to insert its children again.",
    caughtBy: ["replace.resend"],
    wrap: (driver) => ({ ...driver, trip: (trip) => apart(driver, trip, false) }),
  },
  {
    name: "key-freed-after-the-handover",
    breaks: "A key that was handed over to a child is freed all the same.",
    caughtBy: ["replace.hands-its-key-over", "replace.one-key"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        const outcome = await driver.trip(trip);
        for (const { id } of childrenOf(trip)) db.prepare(FREE_ANYWAY).run(idBytes(id));
        return outcome;
      },
    }),
  },
  {
    name: "child-takes-any-key",
    breaks: "A child takes its key from whoever has it.",
    caughtBy: ["replace.key-of-another", "replace.resend"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        if (childrenOf(trip).length > 0) db.exec("delete from qudo_unique_key");
        const outcome = await driver.trip(trip);
        return outcome;
      },
    }),
  },
  {
    name: "known-child-takes-key",
    breaks: "A child that is known takes a key.",
    caughtBy: ["replace.known-child", "unique.resend"],
    rewrites: [change(SQL.jobExists, "where", "where 0 and")],
  },
];

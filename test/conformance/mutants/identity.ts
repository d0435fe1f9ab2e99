/** Engines that do not know who they are. */
import type { DatabaseMode } from "../../../src/storage/driver.js";
import { newId } from "../../../src/storage/ids.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

export const identityMutants: readonly Mutant[] = [
  {
    name: "id-of-the-connection",
    breaks: "Each connection makes up an id, and keeps it to itself.",
    caughtBy: ["identity.one-id", "identity.names-at-once"],
    wrap: (driver) => {
      const id = newId();
      return { ...driver, identify: async (name) => ({ ...(await driver.identify(name)), id }) };
    },
  },
  {
    name: "name-is-answered-not-kept",
    breaks: "Whoever gives a name is told that name, and nobody else is.",
    caughtBy: ["identity.first-name", "identity.names-at-once"],
    wrap: (driver) => ({
      ...driver,
      identify: async (name = null!) => ({ ...(await driver.identify()), name }),
    }),
  },
  {
    name: "last-name-wins",
    breaks: "A name is written over the one that is there.",
    caughtBy: ["identity.first-name"],
    wrap: (driver) => ({
      ...driver,
      identify: (name) => (name === undefined ? driver.identify() : driver.rename(name, false)),
    }),
  },
  {
    name: "rename-is-a-first-name",
    breaks: "Renaming writes no name where there is one.",
    caughtBy: ["identity.rename"],
    wrap: (driver) => ({ ...driver, rename: (name) => driver.identify(name) }),
  },
  {
    name: "copy-keeps-its-id",
    breaks: "A copy gets another name only, and stays who it was.",
    caughtBy: ["identity.rename"],
    wrap: (driver) => ({ ...driver, rename: (name) => driver.rename(name, false) }),
  },
  {
    name: "mode-of-the-connection",
    breaks: "A mode is known to those alone who set it.",
    caughtBy: ["identity.mode"],
    wrap: (driver) => {
      let mode: DatabaseMode = "active";
      return {
        ...driver,
        identify: async (name) => ({ ...(await driver.identify(name)), mode }),
        setMode: async (wanted) => void (mode = wanted),
      };
    },
  },
  {
    name: "first-mode-stays",
    breaks: "A mode is written once, as the name is.",
    caughtBy: ["identity.mode"],
    rewrites: [change(SQL.setMeta, "do update set value = excluded.value", "do nothing")],
  },
  {
    name: "off-is-off",
    breaks: "A database that is off refuses to settle as well.",
    caughtBy: ["identity.off-settles"],
    wrap: (driver) => ({
      ...driver,
      async trip(trip) {
        const { mode } = await driver.identify();
        return mode === "off"
          ? { settled: trip.settle.map(() => []), claimed: [], more: false }
          : driver.trip(trip);
      },
    }),
  },
];

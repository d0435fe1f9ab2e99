/** Laws about who a database is: its id, its name among several, and whether it is in use. */
import { deepEqual, equal, notEqual } from "node:assert/strict";
import type { DatabaseMode } from "../../storage/driver.js";
import type { Law } from "./law.js";

const requires = ["identity"] as const;

export const identityLaws: readonly Law[] = [
  {
    id: "identity.one-id",
    law: "A database has one id from its first moment on, whoever asks for it; it has no name yet, and is active.",
    requires,
    async run(h) {
      const first = await h.driver.identify();
      deepEqual(first, { id: first.id, name: null, mode: "active" });
      deepEqual(await h.driver.identify(), first, "asked again");
      deepEqual(await (await h.connect()).identify(), first, "asked by another connection");
      await h.driver.migrate();
      deepEqual(await h.driver.identify(), first, "after migrating again");
    },
  },
  {
    id: "identity.first-name",
    law: "A name is written where there is none; another one changes nothing, and what stands there is told.",
    requires,
    async run(h) {
      const { id } = await h.driver.identify();
      const wanted = { id, name: "a", mode: "active" };
      deepEqual(await h.driver.identify("a"), wanted);
      deepEqual(await h.driver.identify("a"), wanted, "the same name again");
      deepEqual(await h.driver.identify("b"), wanted, "another name");
      deepEqual(await (await h.connect()).identify(), wanted, "asked without a name");
    },
  },
  {
    id: "identity.names-at-once",
    law: "Of many names that are given at once one is written, and everybody is told that one.",
    requires,
    async run(h) {
      const drivers = [h.driver, await h.connect(), await h.connect()];
      const told = await Promise.all(drivers.map((driver, i) => driver.identify(`n${i}`)));
      const stored = await h.driver.identify();
      deepEqual(
        told,
        told.map(() => stored),
      );
    },
  },
  {
    id: "identity.rename",
    law: "Renaming writes another name and keeps the id; a copy of a database gets another id too.",
    requires,
    async run(h) {
      const other = await h.connect();
      const { id } = await h.driver.identify("a");
      await h.driver.setMode("drain");
      deepEqual(await h.driver.rename("b", false), { id, name: "b", mode: "drain" });
      deepEqual(await other.identify("a"), { id, name: "b", mode: "drain" });
      const copy = await h.driver.rename("c", true);
      notEqual(copy.id, id);
      deepEqual(copy, { id: copy.id, name: "c", mode: "drain" });
      deepEqual(await other.identify(), copy);
    },
  },
  {
    id: "identity.mode",
    law: "A mode that is set is told to everybody until another one is, and says nothing of the name.",
    requires,
    async run(h) {
      const other = await h.connect();
      for (const mode of ["drain", "off", "off", "active"] satisfies DatabaseMode[]) {
        await h.driver.setMode(mode);
        equal((await other.identify()).mode, mode);
      }
      equal((await other.identify()).name, null);
    },
  },
  {
    id: "identity.off-settles",
    law: "A database that is off still takes the ends of what is held there.",
    requires,
    async run(h) {
      const id = await h.enqueue();
      const worker = await h.worker();
      const held = await worker.claimOne();
      await h.driver.setMode("off");
      await worker.done(held);
      await h.assertState(id, "done");
    },
  },
];

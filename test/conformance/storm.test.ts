/** Eight connections do everything at once to one database, on every engine: what each was told is true in the end. */
import { describe, expect, test } from "vitest";
import type { Fixture } from "../../src/testing/index.js";
import { has, mariadb } from "../servers/index.js";
import { Actor } from "./storm/actor.js";
import { calm, compare } from "./storm/aftermath.js";
import { Dice } from "./storm/dice.js";
import { Ledger } from "./storm/ledger.js";
import { sqliteFile } from "./support/fixture.js";
import { mysql } from "./support/mysql.js";
import { postgresSchema } from "./support/postgres.js";

const ACTORS = 8;
const DEEDS = Number(process.env["QUDO_STORM"] ?? 120);
const SEED = Number(process.env["QUDO_SEED"] ?? Date.now() % 1_000_000);

const fixtures: readonly { name: string; there: boolean; fixture: Fixture }[] = [
  { name: "SQLite", there: true, fixture: sqliteFile() },
  {
    name: "PostgreSQL",
    there: await has("postgres"),
    fixture: postgresSchema("PostgreSQL"),
  },
  {
    name: "MariaDB",
    there: await has("mariadb"),
    fixture: mysql("MariaDB", () => mariadb({ durable: false })),
  },
];

for (const { name, there, fixture } of fixtures)
  describe.skipIf(!there)(name, () => {
    test(`${ACTORS} actors, ${DEEDS} deeds each, seed ${SEED}`, { timeout: 240_000 }, async () => {
      const database = await fixture.open();
      const drivers = [database.driver];
      try {
        await database.driver.migrate();
        while (drivers.length < ACTORS) drivers.push(await database.connect());
        const ledger = new Ledger();
        const actors = drivers.map(
          (driver, i) =>
            new Actor(
              driver,
              drivers[(i + 1) % ACTORS]!,
              database.clock,
              ledger,
              new Dice(SEED * 1_000 + i),
            ),
        );
        for (const actor of actors) await actor.begin();
        await Promise.all(
          actors.map(async (actor) => {
            for (let deeds = 0; deeds < DEEDS; deeds++) await actor.act();
          }),
        );
        await calm(database.driver, database.clock);
        expect(await compare(database.driver, ledger), `seed ${SEED}`).toEqual([]);
        expect(ledger.inserted.length, "something went on").toBeGreaterThan(DEEDS);
      } finally {
        for (const driver of drivers.slice(1)) await driver.close();
        await database.close();
      }
    });
  });

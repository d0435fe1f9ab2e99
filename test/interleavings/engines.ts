/** The engines on which the numbered interleavings are played: SQLite always, and each server that this machine has. */
import { has, mariadb } from "../servers/index.js";
import { NOW } from "./scenario.js";
import { mysqlUnderTest } from "./servers/mysql.js";
import { postgresUnderTest } from "./servers/postgres.js";
import { ServerStage, type UnderTest } from "./servers/stage.js";
import { FileStage, filePlace, type Place, type Stage } from "./stage.js";

export interface Engine<S extends Stage = Stage> {
  readonly name: string;
  /** A new and empty database, its clock at {@link NOW}. */
  place(): Promise<Place>;
  /** The prepared database, for calls that interrupt each other. */
  stage(): Promise<S>;
}

export const SQLITE: Engine = {
  name: "SQLite",
  place: filePlace,
  stage: async () => {
    const stage = new FileStage();
    await stage.open();
    return stage;
  },
};

export const SERVERS: readonly Engine<ServerStage>[] = [
  ...((await has("postgres")) ? [server("PostgreSQL", postgresUnderTest)] : []),
  ...((await has("mariadb"))
    ? [server("MariaDB", async () => mysqlUnderTest(await mariadb({ durable: false })))]
    : []),
];

export const ENGINES: readonly Engine[] = [SQLITE, ...SERVERS];

function server(name: string, open: () => Promise<UnderTest>): Engine<ServerStage> {
  return {
    name,
    place: async () => {
      const place = await open();
      place.clock.now = NOW;
      return place;
    },
    stage: async () => {
      const stage = new ServerStage();
      await stage.open(await open());
      return stage;
    },
  };
}

/** What can happen to one of the databases, and how it is made good. */
import type { Databases } from "./databases.js";
import type { Fault } from "./scenario.js";

/** A connection that nobody answers is given up after this. */
const CONNECT_MS = 1_000;
/** A statement that nobody answers is given up after this, and may be tried on another connection: statementTimeout, and 3 s. */
const SILENCE_MS = 3_500;

/** All of the server's processes, with SIGKILL; started again on its data. */
export const killed = (strikes: "pg" | "my"): Fault => ({
  what: `${strikes} is killed`,
  strikes,
  visitMs: 0,
  begin: (databases) => databases.servers[strikes].controls.kill(),
  end: (databases) => databases.servers[strikes].controls.start(),
});

/** SIGSTOP: connections stay open, new ones open, nothing answers. */
export const stopped = (strikes: "pg" | "my"): Fault => ({
  what: `${strikes} stands still`,
  strikes,
  visitMs: CONNECT_MS,
  lastsMs: SILENCE_MS,
  begin: (databases) => databases.servers[strikes].controls.pause(),
  end: (databases) => databases.servers[strikes].controls.resume(),
});

/** Nothing passes between the processes and the server, which lives on; what was on its way arrives late. */
export const blackHole = (strikes: "pg" | "my"): Fault => ({
  what: `${strikes} is behind a black hole`,
  strikes,
  visitMs: CONNECT_MS,
  lastsMs: SILENCE_MS,
  begin: async (databases) => weather(databases, strikes, "silent"),
  end: async (databases) => weather(databases, strikes, "fair"),
});

export const readOnly = (): Fault => ({
  what: "pg is read-only",
  strikes: "pg",
  begin: (databases) => setReadOnly(databases, "on"),
  end: (databases) => setReadOnly(databases, "off"),
});

export const fullDisk = (): Fault => ({
  what: "the disk under file is full",
  strikes: "file",
  needsDisk: true,
  begin: async (databases) => databases.fill(),
  end: async (databases) => databases.clear(),
});

function weather(databases: Databases, name: "pg" | "my", weather: "silent" | "fair"): void {
  for (const proxy of databases.proxies(name)) proxy.weather = weather;
}

async function setReadOnly(databases: Databases, value: "on" | "off"): Promise<void> {
  await databases.ask("pg", `alter system set default_transaction_read_only = ${value}`);
  await databases.ask("pg", "select pg_reload_conf()");
}

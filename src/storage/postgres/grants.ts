/** Least privileges: what whoever migrates, adds jobs, works, or only looks needs on which table, and nothing else. */
import { TABLES } from "../sql/dialect.js";
import type { Names } from "./schema.js";

type Table = (typeof TABLES)[number];
type Rights = Partial<Readonly<Record<Table, string>>>;

/** To take a row lock asks for the right to update a column. This one is nobody's. */
const MAY_LOCK = "update (meta)";

/** Adds jobs, also in transactions of its own, and waits for their results. */
const PRODUCE: Rights = {
  meta: "select",
  lane: "select, insert",
  job: "select (id), insert",
  ready: "insert",
  delayed: "insert",
  unique_key: "select, insert, delete",
  outcome: "select",
  tally: "select, insert, update",
};

/** Runs jobs, ends them, keeps the database tidy, and does what operators ask for. */
const WORK: Rights = {
  meta: "select",
  lane: "select, insert, update",
  queue: "select, insert, update",
  job: `select, insert, delete, ${MAY_LOCK}`,
  ready: "select, insert, update, delete",
  delayed: "select, insert, update, delete",
  worker: "select, insert, update, delete",
  lease: "select, insert, update, delete",
  running: "select, insert, update, delete",
  outcome: "select, insert, delete",
  unique_key: "select, insert, update, delete",
  job_log: "select, insert, delete",
  tally: "select, insert, update, delete",
};

const VIEW: Rights = Object.fromEntries(TABLES.map((table) => [table, "select"]));

/** What {@link grants} gives rights to: roles that nobody logs in as. */
export const ROLES = ["migrate", "produce", "work", "view"] as const;

/** SQL that makes the roles, and gives each its rights. It may be run again, and has to be after a migration that makes tables. */
export function grants({ schema, prefix }: Names): string {
  const role = (name: (typeof ROLES)[number]): string => `"${prefix}${name}"`;
  const give = (name: (typeof ROLES)[number], rights: Rights): string[] => [
    `grant usage on schema "${schema}" to ${role(name)};`,
    ...Object.entries(rights).map(
      ([table, what]) => `grant ${what} on "${schema}"."${prefix}${table}" to ${role(name)};`,
    ),
  ];
  return [
    `-- To be run by the owner of the tables, in their database. Then, for each user: grant "${prefix}work" to …;`,
    ...ROLES.map(create(prefix)),
    "",
    "-- Makes and upgrades the tables, and owns them: let one user alone do it.",
    `grant usage, create on schema "${schema}" to ${role("migrate")};`,
    "",
    "-- Adds jobs, and waits for their results.",
    ...give("produce", PRODUCE),
    "",
    "-- Runs jobs; cancels, retries, pauses, prunes.",
    ...give("work", WORK),
    "",
    "-- Looks, payloads and results included.",
    ...give("view", VIEW),
    "",
  ].join("\n");
}

function create(prefix: string): (name: string) => string {
  return (name) =>
    `do $$ begin create role "${prefix}${name}" nologin; exception when duplicate_object then null; end $$;`;
}

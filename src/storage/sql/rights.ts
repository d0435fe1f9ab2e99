/** Least privileges: what whoever migrates, adds jobs, works, or only looks needs on which table, and nothing else. */
import { TABLES } from "./dialect.js";

/** What rights are given to: roles that nobody logs in as. */
export const ROLES = ["migrate", "produce", "work", "view"] as const;

export type Role = (typeof ROLES)[number];

/** Rights by table, as `grant` takes them. */
export type Rights = Partial<Readonly<Record<(typeof TABLES)[number], string>>>;

/** To take a row lock asks for the right to update a column. This one is nobody's. */
const MAY_LOCK = "update (meta)";

/** Of all but who migrates, and owns the tables. */
export const RIGHTS: Readonly<Record<Exclude<Role, "migrate">, Rights>> = {
  /** Adds jobs, also in transactions of its own, and waits for their results. */
  produce: {
    meta: "select",
    lane: "select, insert",
    job: "select (id), insert",
    ready: "insert",
    delayed: "insert",
    held: "insert",
    unique_key: "select, insert, delete",
    outcome: "select",
    tally: "select, insert, update",
  },
  /** Runs jobs, ends them, keeps the database tidy, and does what operators ask for. */
  work: {
    meta: "select",
    lane: "select, insert, update",
    queue: "select, insert, update",
    job: `select, insert, delete, ${MAY_LOCK}`,
    ready: "select, insert, update, delete",
    delayed: "select, insert, update, delete",
    held: "select, insert, update, delete",
    rule: "select, insert, update",
    slot: "select, insert, delete",
    bucket: "select, insert, update, delete",
    worker: "select, insert, update, delete",
    lease: "select, insert, update, delete",
    running: "select, insert, update, delete",
    outcome: "select, insert, delete",
    unique_key: "select, insert, update, delete",
    job_log: "select, insert, delete",
    tally: "select, insert, update, delete",
  },
  view: Object.fromEntries(TABLES.map((table) => [table, "select"])),
};

/** What each role is for, for whoever reads the statements. */
export const PURPOSES: Readonly<Record<Role, string>> = {
  migrate: "Makes and upgrades the tables, and owns them: let one user alone do it.",
  produce: "Adds jobs, and waits for their results.",
  work: "Runs jobs; cancels, retries, pauses, prunes.",
  view: "Looks, payloads and results included.",
};

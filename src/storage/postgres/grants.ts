/** Roles with the least rights, as PostgreSQL takes them. */
import { PURPOSES, RIGHTS, ROLES, type Role } from "../sql/rights.js";
import type { Names } from "./schema.js";

/** SQL that makes the roles, and gives each its rights. It may be run again, and has to be after a migration that makes tables. */
export function grants({ schema, prefix }: Names): string {
  const name = (role: Role): string => `"${prefix}${role}"`;
  const create = (role: Role): string =>
    `do $$ begin create role ${name(role)} nologin; exception when duplicate_object then null; end $$;`;
  const give = (role: Role): string[] =>
    role === "migrate"
      ? [`grant usage, create on schema "${schema}" to ${name(role)};`]
      : [
          `grant usage on schema "${schema}" to ${name(role)};`,
          ...Object.entries(RIGHTS[role]).map(
            ([table, what]) => `grant ${what} on "${schema}"."${prefix}${table}" to ${name(role)};`,
          ),
        ];
  return [
    `-- To be run by the owner of the tables, in their database. Then, for each user: grant ${name("work")} to …;`,
    ...ROLES.map(create),
    ...ROLES.flatMap((role) => ["", `-- ${PURPOSES[role]}`, ...give(role)]),
    "",
  ].join("\n");
}

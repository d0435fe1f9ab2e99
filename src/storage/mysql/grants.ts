/** Roles with the least rights, as MySQL and MariaDB take them. */
import { PURPOSES, RIGHTS, ROLES, type Rights, type Role } from "../sql/rights.js";

/** Where a row that is there is to be left as it is, these servers ask for the right to update every column that is given. */
const BESIDES: Partial<Readonly<Record<Role, Rights>>> = {
  produce: {
    lane: "select, insert, update (queue, kind)",
    unique_key: "select, insert, update, delete",
  },
  work: {
    job_log: "select, insert, update, delete",
    outcome: "select, insert, update, delete",
  },
};

/** SQL that makes the roles, and gives each its rights. It may be run again, and has to be after a migration that makes tables. */
export function grants(database: string, prefix: string): string {
  const name = (role: Role): string => `'${prefix}${role}'`;
  const place = `\`${database.replaceAll("`", "``")}\``;
  const give = (role: Role): string[] =>
    role === "migrate"
      ? [
          `grant select, insert, update, delete, create, alter, drop, index, references on ${place}.* to ${name(role)};`,
        ]
      : Object.entries({ ...RIGHTS[role], ...BESIDES[role] }).map(
          ([table, what]) => `grant ${what} on ${place}.\`${prefix}${table}\` to ${name(role)};`,
        );
  return [
    `-- To be run by an administrator. Then, for each user: grant ${name("work")} to …; set default role ${name("work")} for …;`,
    ...ROLES.map((role) => `create role if not exists ${name(role)};`),
    ...ROLES.flatMap((role) => ["", `-- ${PURPOSES[role]}`, ...give(role)]),
    "",
  ].join("\n");
}

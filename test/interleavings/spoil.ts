/** What a test does to the prepared database by raw SQL, in the words of any engine. */
import { idBytes } from "../../src/core/ids.js";
import type { Violation } from "../../src/storage/driver.js";
import { encodeLease } from "../../src/storage/sql/lease.js";
import { id } from "./scenario.js";

/** What the audit says before and after. */
export interface Spoiled {
  readonly before: readonly Violation[];
  readonly after: readonly Violation[];
}

export type Runs = readonly (readonly [job: string, run: number])[];

export interface Spoil {
  /** One statement; each "?" is a value, and text among the values is the name of a job, a lease or a session. */
  (sql: string, ...values: (string | number | Uint8Array)[]): void;
  /** A new lease that lists these runs. */
  hold(lease: string, session: string, runs: Runs): void;
  /** From now on a lease lists these runs, and no others. */
  relist(lease: string, runs: Runs): void;
}

/** How an engine writes what is not the same in all of them. */
export interface Words {
  id(text: string): string;
  bytes(value: Uint8Array): string;
  /** The columns in which a lease lists its runs, each with what is in it. */
  listed(runs: Runs): readonly (readonly [column: string, value: string])[];
}

const blob = (name: string): Buffer => idBytes(id(name));

const hexLiteral = (value: Uint8Array): string => `x'${Buffer.from(value).toString("hex")}'`;

/** Of SQLite and MySQL. */
export const BLOBS: Words = {
  id: (text) => hexLiteral(idBytes(text)),
  bytes: hexLiteral,
  listed: (runs) => [
    ["jobs", hexLiteral(encodeLease(runs.map(([job, run]) => ({ id: blob(job), run }))))],
  ],
};

export const ARRAYS: Words = {
  id: (text) => `'${text}'::uuid`,
  bytes: (value) => `'\\x${Buffer.from(value).toString("hex")}'::bytea`,
  listed: (runs) => [
    ["ids", `'{${runs.map(([job]) => id(job)).join()}}'::uuid[]`],
    ["runs", `'{${runs.map(([, run]) => run).join()}}'::int[]`],
  ],
};

/** The statements of a seed, each of which is to change one row: one that changes nothing would prove nothing. */
export function statementsOf(spoil: (run: Spoil) => void, words: Words): string[] {
  const statements: string[] = [];
  const literal = (value: string | number | Uint8Array): string => {
    if (typeof value === "number") return String(value);
    return typeof value === "string" ? words.id(id(value)) : words.bytes(value);
  };
  const run: Spoil = Object.assign(
    (sql: string, ...values: (string | number | Uint8Array)[]) => {
      let next = 0;
      statements.push(sql.replaceAll("?", () => literal(values[next++]!)));
    },
    {
      hold: (lease: string, session: string, runs: Runs) => {
        const columns = words.listed(runs);
        run(
          `insert into qudo_lease (id, worker, claimed_at, ${columns.map(([name]) => name).join()})
            values (?, ?, 0, ${columns.map(([, value]) => value).join()})`,
          lease,
          session,
        );
      },
      relist: (lease: string, runs: Runs) => {
        const columns = words.listed(runs).map(([name, value]) => `${name} = ${value}`);
        run(`update qudo_lease set ${columns.join()} where id = ?`, lease);
      },
    },
  );
  spoil(run);
  return statements;
}

/** SQLite handles as users have them, and a tap that reads or rewrites what passes through one. */
import type { HandleLike } from "../../../src/storage/sqlite/index.js";

interface Library {
  DatabaseSync: new (path: string) => HandleLike;
}

/** A handle of node:sqlite where this Node has it, else of the package with the same API. */
export async function openHandle(path: string): Promise<HandleLike> {
  const { DatabaseSync } = await load();
  return new DatabaseSync(path);
}

async function load(): Promise<Library> {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const hasOwn = major > 22 || (major === 22 && minor >= 13);
  // Names in variables: neither is there on every Node, and TypeScript must not look for them.
  const name = hasOwn ? "node:sqlite" : "@photostructure/sqlite";
  return (await import(name)) as Library;
}

export interface Tap {
  /** What is prepared or executed instead of this text. */
  rewrite?(sql: string): string;
  /** Called after each statement that has run. */
  ran?(sql: string): void;
}

/** The same handle, seen through the tap. */
export function tap(
  handle: HandleLike,
  { rewrite = (sql) => sql, ran = () => {} }: Tap,
): HandleLike {
  return {
    exec(sql) {
      const result = handle.exec(rewrite(sql));
      ran(sql);
      return result;
    },
    prepare(sql) {
      const statement = handle.prepare(rewrite(sql));
      return {
        run(...values) {
          const result = statement.run(...values);
          ran(sql);
          return result;
        },
        get: (...values) => statement.get(...values),
        all: (...values) => statement.all(...values),
      };
    },
    close: () => handle.close(),
    get isTransaction() {
      return handle.isTransaction;
    },
    get inTransaction() {
      return handle.inTransaction;
    },
  };
}

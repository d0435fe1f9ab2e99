/** What the tests ask of every library: a transaction, a statement of the user's in it, and what else of it is no transaction. */
export interface Library {
  readonly name: string;
  readonly server: "postgres" | "mysql";
  /** Connects; with settings that change names, numbers and bytes wherever the library has such. */
  open(url: string): Promise<Opened>;
}

export interface Opened {
  /** The library's own: commits, or rolls back when the body throws. */
  transaction(body: (tx: object) => Promise<void>): Promise<void>;
  /** A savepoint, or a nested transaction where the library calls it so: goes back to before it when the body throws. */
  nested(tx: object, body: (tx: object) => Promise<void>): Promise<void>;
  /** As users send it: without values. */
  run(tx: object, text: string): Promise<unknown>;
  /** Things of this library that are no transaction, or none any more. */
  readonly wrong: Readonly<Record<string, () => object | Promise<object>>>;
  close(): Promise<void>;
}

/** Begin, commit, rollback and savepoints by hand. */
export function byHand(
  run: (text: string) => Promise<unknown>,
): Pick<Opened, "nested"> & { transaction(body: () => Promise<void>): Promise<void> } {
  const bracket = async (
    [begin, commit, undo]: readonly [string, string, string],
    body: () => Promise<void>,
  ): Promise<void> => {
    await run(begin);
    try {
      await body();
    } catch (error) {
      await run(undo);
      throw error;
    }
    await run(commit);
  };
  return {
    transaction: (body) => bracket(["begin", "commit", "rollback"], body),
    nested: (tx, body) =>
      bracket(["savepoint mine", "release savepoint mine", "rollback to savepoint mine"], () =>
        body(tx),
      ),
  };
}

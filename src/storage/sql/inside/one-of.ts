/** Inside a user's transaction that is on one of several databases: which of them, the identity that stands there tells. */
import { InvalidInputError } from "../../../core/errors.js";
import type { Client } from "../clients/client.js";
import { enter, noTransaction, type Inside, type Queue, type Speech } from "./inside.js";

export interface Choice {
  /** What the user gave. */
  readonly given: object;
  readonly client: Client;
  readonly speech: Speech;
  readonly queues: readonly (() => Promise<Queue>)[];
}

/** Where things of the user's led to. Another transaction on the same connection is on the same database. */
const found = new WeakMap<object, Queue>();

/**
 * The right one is entered; what asking the others did to the transaction is taken back.
 * @throws InvalidInputError QUDO_WRONG_DATABASE when it is on none of them; where one of them could not be asked for its
 * identity, and it is on none of the others, the error of that one.
 */
export async function enterOneOf({ given, client, speech, queues }: Choice): Promise<Inside> {
  const answers = await Promise.allSettled(queues.map((open) => open()));
  const known = answers.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const before = known.find((queue) => queue === found.get(given));
  if (before !== undefined) return enter(client, speech, before);
  for (const queue of known) {
    const inside = await tryToEnter(client, speech, queue);
    if (inside === null) continue;
    found.set(given, queue);
    return inside;
  }
  const unasked = answers.find((one) => one.status === "rejected");
  if (unasked !== undefined) throw unasked.reason;
  const labels = known.map(({ label }) => label).join(", ");
  throw new InvalidInputError(
    "QUDO_WRONG_DATABASE",
    `That transaction is on none of the queue's databases: its connection finds the tables of none of ${labels}. A transaction can hold both only in one database.`,
  );
}

/** A table that is not there ends a whole transaction on some servers: so the question stands behind a savepoint of its own. */
async function tryToEnter(client: Client, speech: Speech, queue: Queue): Promise<Inside | null> {
  try {
    await client.query("savepoint qudo_where", []);
  } catch (cause) {
    throw client.inTransaction() === false ? noTransaction(cause) : cause;
  }
  try {
    const inside = await enter(client, speech, queue);
    // On a server where calls take back what they wrote there is a savepoint after this one, which goes with it.
    if (speech.savepoint === null) await client.query("release savepoint qudo_where", []);
    return inside;
  } catch (error) {
    if (!(error instanceof InvalidInputError) || error.code !== "QUDO_WRONG_DATABASE") throw error;
    await client.query("rollback to savepoint qudo_where", []);
    return null;
  }
}

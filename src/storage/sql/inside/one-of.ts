/** Inside a user's transaction that is on one of several databases: which of them, the identity that stands there tells. */
import { InvalidInputError } from "../../../core/errors.js";
import type { Client } from "../clients/client.js";
import { enter, isHome, noTransaction, type Inside, type Queue, type Speech } from "./inside.js";

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
 * The one that the connection is in is entered, or else the first whose tables it finds; what asking the others did to the
 * transaction is taken back.
 * @throws InvalidInputError QUDO_WRONG_DATABASE when it finds those of none; where one of them could not be asked for its
 * identity, and it finds those of no other, the error of that one.
 */
export async function enterOneOf({ given, client, speech, queues }: Choice): Promise<Inside> {
  const answers = await Promise.allSettled(queues.map((open) => open()));
  const known = answers.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const before = known.find((queue) => queue === found.get(given));
  const queue = before ?? (await choose(client, speech, known));
  if (queue !== null) {
    found.set(given, queue);
    return enter(client, speech, queue);
  }
  const unasked = answers.find((one) => one.status === "rejected");
  if (unasked !== undefined) throw unasked.reason;
  const labels = known.map(({ label }) => label).join(", ");
  throw new InvalidInputError(
    "QUDO_WRONG_DATABASE",
    `That transaction is on none of the queue's databases: its connection finds the tables of none of ${labels}. A transaction can hold both only in one database.`,
  );
}

async function choose(
  client: Client,
  speech: Speech,
  queues: readonly Queue[],
): Promise<Queue | null> {
  for (const queue of queues)
    if (await aside(client, () => isHome(client, speech, queue))) return queue;
  for (const queue of queues)
    if (await aside(client, () => reaches(client, speech, queue))) return queue;
  return null;
}

async function reaches(client: Client, speech: Speech, queue: Queue): Promise<boolean> {
  try {
    await enter(client, speech, queue);
    return true;
  } catch (error) {
    if (error instanceof InvalidInputError && error.code === "QUDO_WRONG_DATABASE") return false;
    throw error;
  }
}

/** A table that is not there ends a whole transaction on some servers: so each question stands behind a savepoint, and is taken back. */
async function aside<T>(client: Client, ask: () => Promise<T>): Promise<T> {
  await send(client, "savepoint qudo_where");
  const answer = await ask();
  await send(client, "rollback to savepoint qudo_where");
  return answer;
}

async function send(client: Client, text: string): Promise<void> {
  try {
    await client.query(text, []);
  } catch (cause) {
    throw client.inTransaction() === false ? noTransaction(cause) : cause;
  }
}

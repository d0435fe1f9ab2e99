/**
 * The user's own transaction on a server: jobs that commit and roll back with the user's rows, on the user's connection. Nothing
 * is remembered from one call to the next but where the connection leads: what was written may be rolled back. Rows are inserted and
 * looked up by their keys, never searched or deleted by ranges, and none that others write is written here: they wait for the user's
 * commit nowhere but at a key, an id or a lane that both want.
 */
import type { UserTransaction } from "../driver.js";
import { clientOf } from "./clients/index.js";
import { complete } from "./inside/complete.js";
import { insertJobs } from "./inside/enqueue.js";
import { enter, undo, type Inside, type Queue, type Speech } from "./inside/inside.js";
import { enterOneOf } from "./inside/one-of.js";

/**
 * `queues`: of these databases it is on one. Asked at the first statement, when the queue's own database has been opened. Errors of
 * the user's library are thrown as they are, so that whoever repeats transactions knows them.
 * @throws InvalidInputError QUDO_WRONG_DATABASE for what is no transaction on such a server.
 */
export function userTransaction(
  given: unknown,
  speech: Speech,
  queues: readonly (() => Promise<Queue>)[],
): UserTransaction {
  const client = clientOf(given, speech.server);
  const entered = async (): Promise<Inside> =>
    queues.length === 1
      ? enter(client, speech, await queues[0]!())
      : enterOneOf({ given: given as object, client, speech, queues });
  const call = <T>(body: (inside: Inside) => Promise<T>): Promise<T> =>
    inTurn(given as object, async () => {
      const inside = await entered();
      try {
        return await body(inside);
      } catch (error) {
        await undo(client, speech);
        throw error;
      }
    });
  return {
    insertJobs: (jobs) => call((inside) => insertJobs(inside, jobs)),
    complete: (run, end) => call((inside) => complete(inside, run, end)),
  };
}

const last = new WeakMap<object, Promise<unknown>>();

/** Calls on one transaction that are not awaited one by one come one after the other all the same. */
function inTurn<T>(given: object, call: () => Promise<T>): Promise<T> {
  const turn = (last.get(given) ?? Promise.resolve()).then(call, call);
  last.set(given, turn);
  return turn;
}

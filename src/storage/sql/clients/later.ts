/** For libraries that hand out the connection inside their transaction by promise. */
import { wrongTransaction, type Client, type Recognised } from "./client.js";

/** `find` is asked at each statement: the transaction may have ended since the last one. */
export function later(find: () => Promise<Recognised | null>): Client {
  const client = async (): Promise<Client> => {
    const found = await find();
    if (found === null)
      throw wrongTransaction("That transaction is on a client that is neither pg nor mysql2.");
    return found.client;
  };
  return {
    query: async (text, values) => (await client()).query(text, values),
    // The library has said so.
    inTransaction: () => true,
  };
}

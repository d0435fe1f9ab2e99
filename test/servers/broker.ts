/**
 * The servers that a whole run of tests shares. The process that runs the tests holds them and listens on a port of 127.0.0.1, which
 * no end of it leaves behind; test processes ask it. A server starts when it is first asked for, once for each set of options.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { startMariadb, type MariadbOptions } from "./mariadb.js";
import { startPostgres, type PostgresOptions } from "./postgres.js";

/** In the environment of the tests: the broker's port, and the word that it answers to. */
const PLACE = "QUDO_TEST_BROKER";

/** What a test process needs to know of a server that another one holds. */
export interface Shared {
  readonly url: string;
  readonly version: string;
}

export type Request =
  | { readonly start: "postgres"; readonly options: PostgresOptions }
  | { readonly start: "mariadb"; readonly options: MariadbOptions }
  | { readonly leftOut: string };

type Holder = (request: Request) => Promise<Shared | undefined>;

interface Closable extends Shared {
  close(): Promise<void>;
}

/** Starts what is asked for, once. `leftOut`: what tests had to do without, each once. */
function holder(): { ask: Holder; leftOut: ReadonlySet<string>; close(): Promise<void> } {
  const started = new Map<string, Promise<Closable>>();
  const leftOut = new Set<string>();
  const ask: Holder = async (request) => {
    if ("leftOut" in request) return void leftOut.add(request.leftOut);
    const key = JSON.stringify(request);
    if (!started.has(key)) started.set(key, start(request));
    const { url, version } = await started.get(key)!;
    return { url, version };
  };
  const close = async () => {
    const all = await Promise.allSettled(started.values());
    await Promise.all(all.map((one) => one.status === "fulfilled" && one.value.close()));
  };
  return { ask, leftOut, close };
}

function start(request: Exclude<Request, { leftOut: string }>): Promise<Closable> {
  return request.start === "postgres"
    ? startPostgres(request.options)
    : startMariadb(request.options);
}

/** Opens the port and tells the processes that are started from here on. */
export async function openBroker(): Promise<{
  leftOut: ReadonlySet<string>;
  close(): Promise<void>;
}> {
  const { ask, leftOut, close } = holder();
  const word = randomBytes(16).toString("hex");
  const server = createServer((socket) => void serve(socket, word, ask)).listen(0, "127.0.0.1");
  await once(server, "listening");
  process.env[PLACE] = `${(server.address() as AddressInfo).port}:${word}`;
  return {
    leftOut,
    close: async () => {
      delete process.env[PLACE];
      server.close();
      await close();
    },
  };
}

/** One question, one answer. Keepers ask nothing: they see by the connection's end that the run is over. */
async function serve(socket: Socket, word: string, ask: Holder): Promise<void> {
  // Whoever asked may be gone before the answer.
  socket.on("error", () => {}).unref();
  for await (const line of createInterface({ input: socket })) {
    if (!line.startsWith(word)) return void socket.destroy();
    const answer = await ask(JSON.parse(line.slice(word.length)) as Request).then(
      (value) => ({ value }),
      (error: Error) => ({ error: error.message }),
    );
    socket.end(JSON.stringify(answer));
  }
}

let own: Holder | undefined;

/** Asks the run's broker; where no run is, this process holds what it asks for. */
export function askBroker(request: Request): Promise<Shared | undefined> {
  const place = process.env[PLACE];
  if (place === undefined) return (own ??= holder().ask)(request);
  return askAt(place, request);
}

async function askAt(place: string, request: Request): Promise<Shared | undefined> {
  const [port, word] = place.split(":");
  const socket = connect(Number(port), "127.0.0.1");
  socket.write(`${word}${JSON.stringify(request)}
`);
  let text = "";
  for await (const chunk of socket.setEncoding("utf8")) text += chunk;
  const { value, error } = JSON.parse(text) as { value?: Shared; error?: string };
  if (error !== undefined) throw new Error(error);
  return value;
}

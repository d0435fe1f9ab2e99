/**
 * The servers that a whole run of tests shares. The process that runs the tests holds them and listens on a socket in a private
 * folder; test processes ask it. A server starts when it is first asked for, once for each set of options.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { startMariadb, type MariadbOptions } from "./mariadb.js";
import { startPostgres, type PostgresOptions } from "./postgres.js";

/** In the environment of the tests: the broker's socket. */
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
export function holder(): { ask: Holder; leftOut: ReadonlySet<string>; close(): Promise<void> } {
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

/** Opens the socket and tells the processes that are started from here on. */
export async function openBroker(): Promise<{
  leftOut: ReadonlySet<string>;
  close(): Promise<void>;
}> {
  const { ask, leftOut, close } = holder();
  const folder = mkdtempSync(join(tmpdir(), "qudo-broker-"));
  const place = join(folder, "socket");
  const server = createServer((socket) => void serve(socket, ask)).listen(place);
  await once(server, "listening");
  process.env[PLACE] = place;
  return {
    leftOut,
    close: async () => {
      delete process.env[PLACE];
      server.close();
      rmSync(folder, { recursive: true, force: true });
      await close();
    },
  };
}

async function serve(socket: Socket, ask: Holder): Promise<void> {
  // Whoever asked may be gone before the answer.
  socket.on("error", () => {});
  for await (const line of createInterface({ input: socket })) {
    const answer = await ask(JSON.parse(line) as Request).then(
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
  const socket = connect(place);
  socket.write(`${JSON.stringify(request)}\n`);
  let text = "";
  for await (const chunk of socket.setEncoding("utf8")) text += chunk;
  const { value, error } = JSON.parse(text) as { value?: Shared; error?: string };
  if (error !== undefined) throw new Error(error);
  return value;
}

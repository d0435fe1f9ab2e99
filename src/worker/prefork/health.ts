/** The health endpoint of prefork: for whoever watches services, and for people with a browser. Reads only, and tells figures only. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { QudoError } from "../../core/errors.js";
import type { Address } from "./options.js";
import type { PreforkFigures } from "./parent.js";

/** An endpoint that listens. */
export interface Health {
  /** Where it listens: "http://127.0.0.1:8080". */
  readonly url: string;
  close(): void;
}

/** @throws QudoError QUDO_HEALTH_PORT when it cannot listen there. */
export async function serveHealth(
  { host, port }: Address,
  figures: () => PreforkFigures,
): Promise<Health> {
  const server = createServer((request, response) => answer(request, response, figures()));
  await listening(server, host, port);
  const at = server.address() as AddressInfo;
  const name = at.family === "IPv6" ? `[${at.address}]` : at.address;
  return {
    url: `http://${name}:${at.port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function listening(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(
        new QudoError(
          "QUDO_HEALTH_PORT",
          `The health endpoint cannot listen at ${host}:${port} (${cause.code}). Give another port, or end what has it.`,
          { cause },
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
}

/** /live: it runs. /ready: a child can take jobs. /: the figures. */
function answer(request: IncomingMessage, response: ServerResponse, now: PreforkFigures): void {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const ready = now.state === "working" && now.ready > 0;
  const say = (status: number, body: object): void => {
    response.writeHead(status, {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    response.end(request.method === "HEAD" ? undefined : `${JSON.stringify(body)}\n`);
  };
  if (request.method !== "GET" && request.method !== "HEAD") say(405, { error: "GET or HEAD" });
  else if (pathname === "/live") say(200, { live: true });
  else if (pathname === "/ready") say(ready ? 200 : 503, { ready, children: now.ready });
  else if (pathname === "/") say(200, now);
  else say(404, { error: "There are /live, /ready and /." });
}

/** PgBouncer in front of a PostgreSQL, in transaction mode: each transaction may run on another connection. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { program } from "./installed.js";
import { keep, type Controls } from "./kept.js";
import { MissingServer } from "./missing.js";

export interface PgbouncerOptions {
  /** The PostgreSQL behind it. Its user and password are the pooler's too. */
  readonly behind: string;
  /** More lines for its configuration, as `default_pool_size`. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

export interface Pooler {
  /** As `behind`, through the pooler. Any database of that server may be named. */
  readonly url: string;
}

export async function startPgbouncer(options: PgbouncerOptions): Promise<Pooler & Controls> {
  const file = program("pgbouncer");
  if (!file) throw new MissingServer("pgbouncer");
  const kept = await keep("pgbouncer");
  const write = (name: string, text: string) => {
    writeFileSync(join(kept.folder, name), text);
    chmodSync(join(kept.folder, name), 0o644);
  };
  const behind = new URL(options.behind);
  write("users", `"${behind.username}" "${decodeURIComponent(behind.password)}"\n`);
  const { port, controls } = await kept.serve((port) => {
    write("pgbouncer.ini", configuration(behind, port, options));
    return {
      command: { file, args: ["pgbouncer.ini"] },
      ready: ["process up"],
      stopSignal: "SIGINT",
    };
  });
  const url = new URL(behind);
  url.port = String(port);
  return { url: url.href, ...controls };
}

function configuration(
  { hostname, port: behindPort }: URL,
  port: number,
  { settings }: PgbouncerOptions,
): string {
  const lines = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: "users",
    pool_mode: "transaction",
    max_client_conn: 300,
    ...settings,
  };
  const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}`);
  return [
    "[databases]",
    `* = host=${hostname} port=${behindPort}`,
    "[pgbouncer]",
    ...text,
    "",
  ].join("\n");
}

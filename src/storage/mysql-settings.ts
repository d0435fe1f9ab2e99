/** MySQL and MariaDB: from the address and the options to what the engine is opened with. */
import type { MysqlDatabase } from "./database.js";
import {
  labelOf,
  passwordOf,
  sharedSettings,
  SHARED_PARAMETERS,
  systemUser,
  type SharedSettings,
} from "./server-settings.js";
import { invalidUrl, parseServerUrl, type ServerUrl, type UrlForm } from "./server-url.js";
import type { MysqlSettings } from "./server.js";
import { tlsOfFiles, tlsOption, type TlsPlan } from "./tls.js";

/** Files are named in it, and not read yet. */
export interface MysqlPlan extends MysqlSettings {
  readonly ssl: TlsPlan | null;
}

const FORM: UrlForm = {
  example: "mysql://user@host:3306/database",
  defaultPort: 3_306,
  parameters: [
    "ssl",
    "ssl-mode",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "socketPath",
    ...SHARED_PARAMETERS,
  ],
};

/** @throws InvalidInputError for the first thing that is wrong. Opens and reads nothing. */
export function mysqlSettings(options: MysqlDatabase): MysqlPlan {
  if (options.pool !== undefined)
    return { ...OF_A_POOL, ...sharedSettings(options, undefined), label: "mysql: your pool" };
  const url = parseServerUrl(options.url!, FORM);
  const shared = sharedSettings(options, url.parameters);
  const address = {
    hosts: hostsOf(url),
    user: url.user ?? systemUser(),
    password: passwordOf(options.password, url.password, "MYSQL_PWD"),
    database: databaseOf(url),
    ssl: options.ssl === undefined ? tlsOf(url.parameters) : tlsOption(options.ssl),
    socketPath: socketOf(url),
  };
  return { ...address, ...shared, label: label(url.scheme, address, shared) };
}

const OF_A_POOL = {
  hosts: [],
  user: "",
  password: null,
  database: "",
  ssl: null,
  socketPath: null,
};

function label(
  scheme: string,
  address: Pick<MysqlPlan, "hosts" | "user" | "database" | "socketPath">,
  { prefix }: SharedSettings,
): string {
  const { socketPath } = address;
  return labelOf(scheme, address, {
    ...(socketPath !== null && { socketPath: encodeURIComponent(socketPath) }),
    ...(prefix !== "qudo_" && { prefix }),
  });
}

function hostsOf({ hosts, parameters }: ServerUrl): MysqlPlan["hosts"] {
  if (hosts.length > 1)
    throw invalidUrl(
      "The database address has several hosts: for MySQL and MariaDB give one, or that of a proxy before them.",
    );
  const bySocket = parameters.has("socketPath");
  if (bySocket && hosts.some(({ host }) => host !== "localhost"))
    throw invalidUrl(
      "The database address has both a host and a socketPath. Give one of them: mysql://user@localhost/database?socketPath=/run/mysqld/mysqld.sock",
    );
  if (bySocket) return [];
  return hosts.length > 0 ? hosts : [{ host: "localhost", port: FORM.defaultPort }];
}

function databaseOf({ database }: ServerUrl): string {
  if (database === null)
    throw invalidUrl(`The database address names no database. Give it as in "${FORM.example}".`);
  return database;
}

function socketOf({ parameters }: ServerUrl): string | null {
  const path = parameters.get("socketPath");
  if (path !== undefined && !path.startsWith("/"))
    throw invalidUrl(
      "The parameter socketPath of the database address is no path of a socket. Give it as in socketPath=/run/mysqld/mysqld.sock",
    );
  return path ?? null;
}

// — encrypted how

/** By the names that MySQL's own programs use, and what they mean. */
const SSL_MODES: ReadonlyMap<string, TlsPlan["verify"]> = new Map([
  ["REQUIRED", "nothing"],
  ["VERIFY_CA", "authority"],
  ["VERIFY_IDENTITY", "host"],
]);

function tlsOf(parameters: ServerUrl["parameters"]): TlsPlan | null {
  const [ssl, mode] = [parameters.get("ssl"), parameters.get("ssl-mode")];
  if (ssl !== undefined && mode !== undefined)
    throw invalidUrl("The database address has both ssl and ssl-mode. Give one of them.");
  if (ssl !== undefined && ssl !== "true" && ssl !== "false")
    throw invalidUrl(
      "The parameter ssl of the database address can be true or false. For more give the option ssl, or the parameter ssl-mode.",
    );
  const ca = parameters.get("ssl-ca") || undefined;
  const own = ["ssl-cert", "ssl-key"].map(
    (name) => [name, parameters.get(name) || undefined] as [string, string | undefined],
  );
  const verify =
    ssl === undefined ? verifyOf(mode?.toUpperCase(), ca) : ssl === "true" ? "host" : null;
  if (verify !== null) return tlsOfFiles(verify, ca, own);
  const idle = own.find(([, path]) => path !== undefined)?.[0] ?? (ca && "ssl-ca");
  if (idle !== undefined)
    throw invalidUrl(
      `The database address has the parameter ${idle}, but asks for no encryption. Add ssl-mode=VERIFY_IDENTITY.`,
    );
  return null;
}

/** A file of authorities alone asks for VERIFY_CA. */
function verifyOf(mode: string | undefined, ca: string | undefined): TlsPlan["verify"] | null {
  if (mode === undefined) return ca === undefined ? null : "authority";
  if (mode === "DISABLED") return null;
  const verify = SSL_MODES.get(mode);
  if (verify !== undefined) return verify;
  const known = "Give DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY.";
  throw invalidUrl(
    mode === "PREFERRED"
      ? `ssl-mode=PREFERRED in the database address is not supported: it goes on without encryption, and nobody is told. ${known}`
      : `The database address has an ssl-mode that is not known. ${known}`,
  );
}

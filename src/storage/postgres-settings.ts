/** PostgreSQL: from its address, in libpq's manner, and its options to what the engine is opened with. */
import { durationMs } from "../core/duration.js";
import type { PostgresDatabase } from "./database.js";
import {
  checkIdentifier,
  firstOf,
  invalidOption,
  labelOf,
  passwordOf,
  sharedSettings,
  SHARED_PARAMETERS,
  systemUser,
} from "./server-settings.js";
import {
  hostOf,
  invalidUrl,
  parseServerUrl,
  portOf,
  type ServerUrl,
  type UrlForm,
} from "./server-url.js";
import type { PostgresAddress, PostgresSettings, ServerHost } from "./server.js";
import { tlsOfFiles, tlsOption, type TlsPlan } from "./tls.js";

/** Files are named in it, and not read yet. */
export interface PostgresPlan extends PostgresSettings {
  readonly ssl: TlsPlan | null;
  readonly listen: boolean | PostgresAddressPlan;
}

interface PostgresAddressPlan extends PostgresAddress {
  readonly ssl: TlsPlan | null;
}

/** Of a connection; the first five outrank what stands before the "?", as in libpq. */
const OF_ADDRESS = [
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "application_name",
  "target_session_attrs",
];

const ADDRESS: UrlForm = {
  example: "postgres://user@host:5432/database",
  defaultPort: 5_432,
  parameters: OF_ADDRESS,
};

const FORM: UrlForm = {
  ...ADDRESS,
  parameters: [
    ...OF_ADDRESS,
    "connect_timeout",
    ...SHARED_PARAMETERS,
    "schema",
    "listen",
    "prepare",
  ],
};

/** @throws InvalidInputError for the first thing that is wrong. Opens and reads nothing. */
export function postgresSettings(options: PostgresDatabase): PostgresPlan {
  const url = options.pool === undefined ? parseServerUrl(options.url!, FORM) : undefined;
  const parameters = url && inOurWords(url.parameters);
  const shared = sharedSettings(options, parameters);
  const schema = checkIdentifier(
    firstOf(options.schema, parameters?.get("schema"), "public"),
    "schema",
  );
  const address = url === undefined ? OF_A_POOL : addressOf(url, options);
  return {
    ...address,
    ...shared,
    schema,
    listen: listenOf(firstOf(options.listen, parameters?.get("listen")), options),
    prepare: flagOf(firstOf(options.prepare, parameters?.get("prepare")), "prepare"),
    label:
      url === undefined
        ? "postgres: your pool"
        : labelOf("postgres", address, tablesOf(schema, shared.prefix)),
  };
}

const OF_A_POOL: PostgresAddressPlan = {
  hosts: [],
  user: "",
  password: null,
  database: "",
  ssl: null,
  applicationName: "qudo",
};

/** libpq's connect_timeout is a whole number of seconds. */
function inOurWords(parameters: ServerUrl["parameters"]): ServerUrl["parameters"] {
  const seconds = parameters.get("connect_timeout");
  if (seconds === undefined) return parameters;
  durationMs(/^\d+$/.test(seconds) ? Number(seconds) : seconds, "connect_timeout");
  return new Map([["connectTimeout", seconds], ...parameters]);
}

/** Those that are not the usual ones: two queues in one database are told apart by them. */
function tablesOf(schema: string, prefix: string): Record<string, string> {
  return {
    ...(schema !== "public" && { schema }),
    ...(prefix !== "qudo_" && { prefix }),
  };
}

// — where to

function addressOf(
  url: ServerUrl,
  { password, ssl }: Pick<PostgresDatabase, "password" | "ssl">,
): PostgresAddressPlan {
  const { parameters } = url;
  checkTarget(parameters.get("target_session_attrs"));
  const user = parameters.get("user") || url.user || systemUser();
  return {
    hosts: hostsOf(url),
    user,
    password: passwordOf(password, parameters.get("password") ?? url.password, "PGPASSWORD"),
    database: parameters.get("dbname") || url.database || user,
    ssl: ssl === undefined ? tlsOf(parameters) : tlsOption(ssl),
    applicationName: parameters.get("application_name") || "qudo",
  };
}

/** The parameters `host` and `port` may be lists, too; one port is that of all hosts. */
function hostsOf(url: ServerUrl): readonly ServerHost[] {
  const refuse = (what: string): never => {
    throw invalidUrl(`${what} Give it as in "${FORM.example}?host=/var/run/postgresql".`);
  };
  const [names, ports] = [url.parameters.get("host"), url.parameters.get("port")?.split(",")];
  const hosts: readonly ServerHost[] = names
    ? names.split(",").map((name) => ({ host: hostOf(name, refuse), port: FORM.defaultPort }))
    : url.hosts.length > 0
      ? url.hosts
      : [{ host: "localhost", port: FORM.defaultPort }];
  if (ports === undefined) return hosts;
  if (ports.length !== 1 && ports.length !== hosts.length)
    refuse(
      "The parameter port of the database address holds not as many ports as there are hosts.",
    );
  return hosts.map(({ host }, i) => ({
    host,
    port: portOf(ports.length === 1 ? ports[0] : ports[i], FORM, refuse),
  }));
}

/** A queue writes: of several hosts the one that takes writes is looked for in any case. */
function checkTarget(target: string | undefined): void {
  if (target !== undefined && target !== "read-write" && target !== "primary")
    throw invalidUrl(
      'A queue writes: the parameter target_session_attrs of the database address can be "read-write" or "primary" only. It may be left out.',
    );
}

// — encrypted how

const SSL_MODES: ReadonlyMap<string, TlsPlan["verify"]> = new Map([
  ["require", "nothing"],
  ["verify-ca", "authority"],
  ["verify-full", "host"],
]);

/**
 * As libpq means them: `require` looks at no certificate, unless an authority is named. Without a file of authorities those
 * that Node knows are asked, and "system" means them too.
 */
function tlsOf(parameters: ServerUrl["parameters"]): TlsPlan | null {
  const [mode, ca] = [parameters.get("sslmode"), parameters.get("sslrootcert") || undefined];
  const own = ["sslcert", "sslkey"].map(
    (name) => [name, parameters.get(name) || undefined] as [string, string | undefined],
  );
  if (mode === undefined || mode === "disable") {
    const idle = [["sslrootcert", ca] as const, ...own].find(([, path]) => path !== undefined);
    if (idle !== undefined)
      throw invalidUrl(
        `The database address has the parameter ${idle[0]}, but asks for no encryption. Add sslmode=verify-full.`,
      );
    return null;
  }
  const verify = SSL_MODES.get(mode);
  if (verify === undefined) throw invalidUrl(unknownMode(mode));
  if (ca === "system") {
    if (verify !== "host")
      throw invalidUrl(
        "sslrootcert=system in the database address goes with sslmode=verify-full only: anybody can have a certificate from the system's authorities.",
      );
    return tlsOfFiles("host", undefined, own);
  }
  return tlsOfFiles(verify === "nothing" && ca !== undefined ? "authority" : verify, ca, own);
}

function unknownMode(mode: string): string {
  const known = "Give disable, require, verify-ca or verify-full.";
  if (mode === "prefer" || mode === "allow")
    return `sslmode=${mode} in the database address is not supported: it goes on without encryption, and nobody is told. ${known}`;
  return `The database address has a sslmode that is not known. ${known}`;
}

// — wake-ups and statements

function flagOf(value: unknown, what: string): boolean {
  const flag = { true: true, false: false, undefined: true }[String(value)];
  if (flag === undefined || !["boolean", "string", "undefined"].includes(typeof value))
    throw invalidOption(`${what}: give true or false.`);
  return flag;
}

/** The options `password` and `ssl` are those of this connection too, unless its address holds a password. */
function listenOf(listen: unknown, options: PostgresDatabase): boolean | PostgresAddressPlan {
  if (typeof listen !== "string" || listen === "true" || listen === "false") {
    if (![true, false, undefined, "true", "false"].includes(listen as boolean))
      throw invalidOption(
        "listen: give true, false, or the address of the server itself (postgres://…).",
      );
    return flagOf(listen, "listen");
  }
  if (!/^postgres(?:ql)?:/i.test(listen))
    throw invalidOption(
      "listen is no address of a PostgreSQL server. Give true, false or postgres://…",
    );
  const url = parseServerUrl(listen, ADDRESS);
  const { password, ssl } = options;
  return addressOf(url, { password: url.password === null ? password : undefined, ssl });
}

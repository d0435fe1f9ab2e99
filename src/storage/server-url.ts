/**
 * Addresses of servers: scheme://user:password@host:port,host:port/database?name=value&… Each part is percent-decoded.
 *
 * Refusals show nothing that could be part of a password that was not encoded: it may have torn the address anywhere. Names of
 * parameters are shown, their values never.
 */
import { InvalidInputError } from "../core/errors.js";
import type { ServerHost } from "./server.js";

/** How addresses of one kind of server look. */
export interface UrlForm {
  /** "postgres://user@host:5432/database": shown when an address is refused. */
  readonly example: string;
  readonly defaultPort: number;
  /** Parameters that may follow the "?". */
  readonly parameters: readonly string[];
}

/** What an address says; null for what it leaves out. */
export interface ServerUrl {
  /** The name of the kind, as it was written: "postgres", "postgresql", "mysql", "mariadb". */
  readonly scheme: string;
  /** Empty when it names none. */
  readonly hosts: readonly ServerHost[];
  readonly user: string | null;
  readonly password: string | null;
  readonly database: string | null;
  readonly parameters: ReadonlyMap<string, string>;
}

/** @throws InvalidInputError QUDO_INVALID_URL that says what is wrong with which part. */
export function parseServerUrl(url: string, form: UrlForm): ServerUrl {
  const refuse = (what: string): never => {
    throw invalidUrl(`${what} Give it as in "${form.example}".`);
  };
  const whole = /^([a-z]+):\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/is.exec(url);
  if (whole === null) return refuse("The database address has no // after the name of its kind.");
  const [, scheme, authority, path = "", query = ""] = whole;
  // What follows is not shown: an "@" here mostly means that a "/" or "?" of a password was taken for the end of the host.
  if (`${path}${query}`.includes("@"))
    refuse(
      'The database address has an "@" after its hosts. If the user or password holds one of / ? @ : % percent-encode it ("/" is %2F, "?" is %3F, "@" is %40).',
    );
  if (path.includes("/")) refuse('The database address has a second "/" after its hosts.');
  const at = authority!.lastIndexOf("@");
  const [user, password] = pairOf(at < 0 ? "" : authority!.slice(0, at), ":");
  return {
    scheme: scheme!.toLowerCase(),
    hosts: hostsOf(authority!.slice(at + 1), form, refuse),
    user: textOf(user, "user", refuse) || null,
    password: password === null ? null : textOf(password, "password", refuse),
    database: textOf(path, "database", refuse) || null,
    parameters: parametersOf(query, form, refuse),
  };
}

export type Refuse = (what: string) => never;

/** "host:port,host:port"; empty for none. IPv6 stands in brackets. */
function hostsOf(text: string, form: UrlForm, refuse: Refuse): ServerHost[] {
  if (text === "") return [];
  return text.split(",").map((one) => {
    const [, host, port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(one) ?? refuse(NO_HOST);
    const number = portOf(port, form, refuse);
    return { host: hostOf(host!, refuse), port: number };
  });
}

const NO_HOST = "A host of the database address is empty, or no name that a host can have.";

/** A name, an IP address, or beginning with "/" a path. */
export function hostOf(text: string, refuse: Refuse): string {
  const ip = /^\[(.*)\]$/s.exec(text)?.[1];
  if (ip !== undefined && !/^[0-9a-f:.]+(?:%25[\w.-]+|%[\w.-]+)?$/i.test(ip))
    refuse("What stands in brackets in the database address is no IPv6 address.");
  const host = ip === undefined ? textOf(text, "host", refuse) : ip.replace("%25", "%");
  if (host === "" || (/[\s/@[\]]/.test(host) && !host.startsWith("/"))) refuse(NO_HOST);
  return host;
}

/** An empty one is the usual one. */
export function portOf(text: string | undefined, form: UrlForm, refuse: Refuse): number {
  if (text === undefined || text === "") return form.defaultPort;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535)
    refuse(
      "A port of the database address is no number from 1 to 65535. (An IPv6 address stands in brackets: [::1]:5432.)",
    );
  return port;
}

function parametersOf(query: string, form: UrlForm, refuse: Refuse): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of query.split("&").filter((one) => one !== "")) {
    const [name, value] = pairOf(part, "=");
    if (value === null) return refuse('A parameter of the database address has no "=".');
    if (!form.parameters.includes(name)) throw unknownParameter(name, form);
    if (found.has(name)) refuse(`The parameter "${name}" stands twice in the database address.`);
    found.set(name, textOf(value, `parameter ${name}`, refuse));
  }
  return found;
}

/** Only a word is shown: anything else may be a piece of what belongs elsewhere. */
function unknownParameter(name: string, { parameters }: UrlForm): InvalidInputError {
  const shown = /^[a-z][\w.-]{0,40}$/i.test(name) ? `no parameter "${name}"` : "no such parameter";
  return invalidUrl(
    `The database address can have ${shown}. It knows: ${parameters.join(", ")}. What a parameter of another program means is not guessed: leave it out.`,
  );
}

function textOf(text: string, what: string, refuse: Refuse): string {
  try {
    const plain = decodeURIComponent(text);
    if (/\p{Cc}/u.test(plain))
      refuse(`The ${what} in the database address holds a control character.`);
    return plain;
  } catch (error) {
    if (error instanceof InvalidInputError) throw error;
    return refuse(
      `The ${what} in the database address holds a "%" that begins no character: write "%25" for the sign itself.`,
    );
  }
}

/** What stands before and after the first of these signs; null when there is none. */
function pairOf(text: string, sign: string): [string, string | null] {
  const at = text.indexOf(sign);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
}

export function invalidUrl(message: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_URL", message);
}

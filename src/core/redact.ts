/**
 * What nobody is shown of a payload: what stands at the paths that its job names, and what looks secret by its key.
 *
 * A path is the names from the payload down, with dots between them; `*` is any one name or place in a list:
 * "card.number", "users.*.email", "lines.0". What stands there is hidden whatever it is.
 *
 * A key looks secret when its last words are one of {@link SECRET} ("password", "accessToken", "X-Api-Key", "PRIVATE_KEY"),
 * where words such as "hash" or "value" and numbers may follow ("passwordHash", "secret2"). Whole words count, and what
 * only speaks of secrets stays: "tokens_used", "tokenCount", "passwordChangedAt", "secretary". Under such a key everything
 * is hidden but null, true and false; under a plural also numbers stay ("tokens: 512").
 */
import { LIMITS } from "./defaults.js";
import { InvalidInputError } from "./errors.js";
import { show } from "./options.js";
import { presentable } from "./presentable.js";

/** What is shown instead. */
export const REDACTED = "[redacted]";

/** Shorter texts are no secrets: masking "a" would leave nothing of a log. */
const SHORTEST = 4;

/** Last words of a secret's name, written together. */
const SECRET: ReadonlySet<string> = new Set(
  (
    "password passwd passphrase passcode pwd secret clientsecret token accesstoken refreshtoken authtoken jwt " +
    "authorization cookie credential apikey privatekey secretkey accesskey signingkey encryptionkey"
  ).split(" "),
);

/** Before the secret itself in a header "Authorization". */
const SCHEME = /^(?:basic|bearer|token) +(\S{4,})$/i;

/** What may follow them. */
const TAILS: ReadonlySet<string> = new Set(
  "value text string data raw plain hash pem base64 header old new confirm confirmation repeat".split(
    " ",
  ),
);

/** Words of "userName", "user_name", "user-name", "USERName2". */
const WORDS = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g;

/** A copy of a value, as JSON can show it, in which "[redacted]" stands for what nobody is shown. */
export function redactPayload(value: unknown, paths: readonly string[] | null): unknown {
  return walk(presentable(value), trails(paths), { hide: () => REDACTED, keep: (copy) => copy });
}

/** The texts of four characters and more that {@link redactPayload} hides, each once. */
export function secretsOf(value: unknown, paths: readonly string[] | null): string[] {
  const found = new Set<string>();
  const hide = (hidden: unknown): void => {
    if (typeof hidden === "string" && hidden.length >= SHORTEST) {
      found.add(hidden);
      const bare = SCHEME.exec(hidden)?.[1];
      if (bare !== undefined) found.add(bare);
    } else if (typeof hidden === "object" && hidden !== null) Object.values(hidden).forEach(hide);
  };
  walk(presentable(value), trails(paths), { hide, keep: () => undefined });
  return [...found];
}

/** The text with "[redacted]" for each secret in it, also where it stands as JSON or in an address. */
export function maskText(text: string, secrets: readonly string[]): string {
  const found = [...new Set(secrets.flatMap(spellings))].flatMap((needle) => places(text, needle));
  if (found.length === 0) return text;
  let masked = "";
  let at = 0;
  for (const { from, to } of united(found)) {
    masked += text.slice(at, from) + REDACTED;
    at = to;
  }
  return masked + text.slice(at);
}

/** @throws InvalidInputError for what is no list of paths. */
export function checkPaths(paths: unknown): readonly string[] {
  if (!Array.isArray(paths) || paths.length > 100) throw invalid(paths, "at most 100 paths");
  for (const path of paths)
    if (
      typeof path !== "string" ||
      path.length > 2 * LIMITS.nameLength ||
      !path.isWellFormed() ||
      path.includes("\0") ||
      path.split(".").includes("")
    )
      throw invalid(path, "names with dots between them");
  return Object.freeze([...(paths as string[])]);
}

function invalid(value: unknown, wanted: string): InvalidInputError {
  return new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `redact: ${show(value)} cannot be used. Give ${wanted}, as in ["card.number", "users.*.email"].`,
  );
}

// — where the secrets are

/** What is left of each path at some place. */
type Trails = readonly (readonly string[])[];

const trails = (paths: readonly string[] | null): Trails =>
  (paths ?? []).map((path) => path.split("."));

interface Visit {
  hide(value: unknown): unknown;
  /** Given the copy of a list or object whose parts were visited. */
  keep(copy: unknown): unknown;
}

function walk(value: unknown, left: Trails, visit: Visit): unknown {
  if (typeof value !== "object" || value === null) return visit.keep(value);
  const inside = (key: string, item: unknown, inList: boolean): unknown => {
    const next = left.filter(([step]) => step === key || step === "*").map(([, ...rest]) => rest);
    const hidden = next.some((rest) => rest.length === 0) || (!inList && looksSecret(key, item));
    return hidden ? visit.hide(item) : walk(item, next, visit);
  };
  if (Array.isArray(value))
    return visit.keep(value.map((item: unknown, i) => inside(String(i), item, true)));
  // As own properties whatever their names: assigning to "__proto__" would do something else.
  return visit.keep(
    Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inside(key, item, false)])),
  );
}

/** Whether what stands under this key of an object is hidden without being named. */
function looksSecret(key: string, value: unknown): boolean {
  if (value === null || typeof value === "boolean") return false;
  const words = (key.match(WORDS) ?? []).map((word) => word.toLowerCase());
  while (words.length > 1 && (TAILS.has(words.at(-1)!) || /^\d/.test(words.at(-1)!))) words.pop();
  if (endsSecret(words)) return true;
  const last = words.pop();
  if (last === undefined || !last.endsWith("s") || typeof value === "number") return false;
  return endsSecret([...words, last.slice(0, -1)]);
}

function endsSecret(words: readonly string[]): boolean {
  return words.some((_, i) => SECRET.has(words.slice(i).join("")));
}

// — where they stand in a text

/** As it is, as JSON writes it, and as an address does. */
function spellings(secret: string): string[] {
  if (secret.length < SHORTEST) return [];
  const json = JSON.stringify(secret).slice(1, -1);
  return secret.isWellFormed() ? [secret, json, encodeURIComponent(secret)] : [secret, json];
}

interface Span {
  readonly from: number;
  readonly to: number;
}

function places(text: string, needle: string): Span[] {
  const found: Span[] = [];
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1))
    found.push({ from: at, to: at + needle.length });
  return found;
}

/** Without overlaps, in order: of two secrets that share an end nothing may stay. */
function united(spans: readonly Span[]): Span[] {
  const whole: { from: number; to: number }[] = [];
  for (const { from, to } of spans.toSorted((a, b) => a.from - b.from)) {
    const last = whole.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else whole.push({ from, to });
  }
  return whole;
}

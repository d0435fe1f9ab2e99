/** JSON as it is typed: where it is wrong is told by line and column, on every Node alike, and nothing in it changes silently. */
import { LIMITS } from "../core/defaults.js";
import { InvalidInputError } from "../core/errors.js";

/**
 * The value of a JSON text.
 * @throws InvalidInputError QUDO_INVALID_PAYLOAD that says where (`place`, line, column), but never shows what stands there:
 * it may be a secret, and errors end up in logs.
 */
export function parseJson(text: string, place: string, hint = ""): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalidAt(text, place, firstFault(text), hint);
  }
  // Sixteen digits and more may not fit a number: then look closely.
  const fault = /\d{16}/.test(text) ? firstFault(text) : null;
  if (fault !== null) throw invalidAt(text, place, fault, hint);
  return value;
}

interface Fault {
  readonly at: number;
  readonly why: string;
}

function invalidAt(
  text: string,
  place: string,
  fault: Fault | null,
  hint: string,
): InvalidInputError {
  const { at, why } = fault ?? { at: 0, why: `is no JSON, or nested too deep (${LIMITS.depth})` };
  const before = text.slice(0, at).split("\n");
  const line = text.includes("\n") ? `, line ${before.length}` : "";
  const column = [...before.at(-1)!].length + 1;
  return new InvalidInputError(
    "QUDO_INVALID_PAYLOAD",
    `${place}${line}, column ${column}: ${why}.${hint && ` ${hint}`}`,
  );
}

/** Null when all is well, or nested too deep to be looked through. */
function firstFault(text: string): Fault | null {
  try {
    new Scanner(text).document();
    return null;
  } catch (fault) {
    if (fault instanceof FaultFound) return fault;
    throw fault;
  }
}

class FaultFound implements Fault {
  constructor(
    readonly at: number,
    readonly why: string,
  ) {}
}

class TooDeep extends FaultFound {
  constructor(at: number) {
    super(at, `nested deeper than ${LIMITS.depth}`);
  }
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /(?:true|false|null)(?![\w$])/y;
// oxlint-disable-next-line no-control-regex -- these are what JSON does not allow inside texts
const TEXT = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;

/** Reads JSON to find its first fault; JSON.parse makes the value. */
class Scanner {
  private at = 0;

  constructor(private readonly text: string) {}

  document(): void {
    this.value(0);
    this.skip(SPACE);
    if (this.at < this.text.length) this.fail("something stands behind the end of the JSON");
  }

  private value(depth: number): void {
    this.skip(SPACE);
    if (depth > LIMITS.depth) throw new TooDeep(this.at);
    const start = this.text[this.at];
    if (start === "{") this.list("}", depth, () => this.key());
    else if (start === "[") this.list("]", depth, () => undefined);
    else if (start === '"') this.string();
    else if (!this.skip(WORD)) this.number();
  }

  private list(end: "}" | "]", depth: number, key: () => void): void {
    this.at++;
    if (this.next(end)) return;
    do {
      key();
      this.value(depth + 1);
    } while (this.next(","));
    if (!this.next(end)) this.fail(`"," or "${end}" is expected here`);
  }

  private key(): void {
    this.skip(SPACE);
    if (this.text[this.at] !== '"') this.fail("a name in double quotes is expected here");
    this.string();
    if (!this.next(":")) this.fail('":" is expected here');
  }

  private string(): void {
    this.skip(TEXT);
    if (this.text[this.at] === '"') this.at++;
    else if (this.text[this.at] === "\\") this.fail("there is no such escape in JSON");
    else if (this.at < this.text.length)
      this.fail("a line break, tab or other control character inside a text: write \\n, \\t, …");
    else throw new FaultFound(this.at, "a text has no closing quote");
  }

  private number(): void {
    const start = this.at;
    if (!this.skip(NUMBER)) this.fail("a value is expected here");
    const digits = this.text.slice(start, this.at);
    if (!changes(digits)) return;
    this.at = start;
    this.fail("a number too large to be kept exactly: write it as a text, in double quotes");
  }

  /** Whether this character comes next; then it is behind us. */
  private next(char: string): boolean {
    this.skip(SPACE);
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return false;
    this.at = pattern.lastIndex;
    return true;
  }

  private fail(why: string): never {
    const more = this.at < this.text.length ? why : `${why}, but it ends`;
    throw new FaultFound(this.at, more);
  }
}

/**
 * Fractions are rounded everywhere; a whole number that would become another one is an id that would be lost. One that is
 * written again as it stands here arrives as it was sent.
 */
function changes(digits: string): boolean {
  if (!/^-?\d{16,}$/.test(digits)) return false;
  const number = Number(digits);
  if (String(number) === digits) return false;
  return !Number.isFinite(number) || BigInt(digits) !== BigInt(number);
}

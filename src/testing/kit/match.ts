/** Whether a value is what a test expects: equal, or what a matcher such as `expect.objectContaining` of vitest and Jest accepts. */
import { isDeepStrictEqual } from "node:util";

interface Matcher {
  asymmetricMatch(value: unknown): boolean;
}

export function matches(expected: unknown, value: unknown): boolean {
  if (isMatcher(expected)) return expected.asymmetricMatch(value);
  if (Array.isArray(expected))
    return (
      Array.isArray(value) &&
      value.length === expected.length &&
      expected.every((one, i) => matches(one, value[i]))
    );
  if (!isPlain(expected) || !isPlain(value)) return isDeepStrictEqual(expected, value);
  // As JSON has it: what is undefined is not there.
  const names = new Set([...Object.keys(expected), ...Object.keys(value)]);
  return [...names].every((name) => matches(expected[name], value[name]));
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" &&
  value !== null &&
  [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);

const isMatcher = (value: unknown): value is Matcher =>
  typeof (value as Partial<Matcher> | null)?.asymmetricMatch === "function";

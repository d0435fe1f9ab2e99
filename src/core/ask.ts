/** Several databases asked one question at once, and what is said when some of them do not answer. */
import { DatabaseError, IncompleteError, type Unasked } from "./errors.js";

/** What a database said. */
export interface Answer<Part, Said> {
  readonly part: Part;
  readonly said: Said;
}

/** All that was said, in the order of the databases, and those that could not be asked. */
export interface Answers<Part, Said> {
  readonly answers: readonly Answer<Part, Said>[];
  readonly unasked: readonly Unasked[];
}

/**
 * Asks all at once, and waits for all. A database that cannot do it (DatabaseError) is one that could not be asked.
 * @throws what else any of them throws: mistakes of the caller, wrong configurations; DatabaseError where none answers.
 */
export async function askAll<Part extends { readonly name: string }, Said>(
  parts: readonly Part[],
  ask: (part: Part) => Promise<Said>,
): Promise<Answers<Part, Said>> {
  const asked = await askEach(parts, ask);
  if (asked.answers.length === 0 && asked.unasked.length > 0) throw noneAnswers(asked);
  return asked;
}

/** Those that could not be asked, and what they threw. */
export interface Failures {
  readonly unasked: readonly Unasked[];
  readonly errors: readonly DatabaseError[];
}

type Asked<Part, Said> = Answers<Part, Said> & Failures;

/** Like {@link askAll}, also where none answers. */
export async function askEach<Part extends { readonly name: string }, Said>(
  parts: readonly Part[],
  ask: (part: Part) => Promise<Said>,
): Promise<Asked<Part, Said>> {
  const settled = await Promise.allSettled(parts.map(async (part) => ask(part)));
  const answers: Answer<Part, Said>[] = [];
  const unasked: Unasked[] = [];
  const errors: DatabaseError[] = [];
  for (const [i, one] of settled.entries()) {
    const part = parts[i]!;
    if (one.status === "fulfilled") answers.push({ part, said: one.value });
    else if (one.reason instanceof DatabaseError) {
      errors.push(one.reason);
      unasked.push({ database: part.name, reason: one.reason.message });
    } else throw one.reason;
  }
  return { answers, unasked, errors };
}

/** One that was asked alone speaks for itself. */
export function noneAnswers({ unasked, errors }: Failures): DatabaseError {
  const [first] = errors;
  if (errors.length === 1) return first!;
  const why = unasked.map(({ database, reason }) => `${database}: ${reason}`).join(" ");
  return new DatabaseError(
    "QUDO_DATABASES_OUT",
    `None of the ${unasked.length} databases can be used now. ${why}`,
    errors.some(({ transient }) => transient),
    { cause: first },
  );
}

/** The merged answer, where all were asked. @throws IncompleteError that holds it, where some could not be. */
export function complete<Found>(unasked: readonly Unasked[], found: Found): Found {
  if (unasked.length > 0) throw new IncompleteError(unasked, found);
  return found;
}

/** The answer in another form, also inside an IncompleteError. */
export async function mapped<Found, Shown>(
  answer: Promise<Found>,
  map: (found: Found) => Shown,
): Promise<Shown> {
  const { found, unasked } = await incompleteToo(answer);
  return complete(unasked, map(found));
}

/** What was found, and those that could not be asked, in place of an IncompleteError. */
export async function incompleteToo<Found>(
  answer: Promise<Found>,
): Promise<{ readonly found: Found; readonly unasked: readonly Unasked[] }> {
  try {
    return { found: await answer, unasked: [] };
  } catch (error) {
    if (!(error instanceof IncompleteError)) throw error;
    return { found: error.found as Found, unasked: error.unasked };
  }
}

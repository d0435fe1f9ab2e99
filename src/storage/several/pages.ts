/**
 * Pages of several databases merged into one. Each database gives a page from where it was left; the rows are taken in order until the
 * page is full, and the cursor of each database is the one behind its last row that was taken. So what was read in vain
 * is read again by the next page, and a job that moves meanwhile leaves no gap in what stays.
 */
import { askEach, complete, noneAnswers } from "../../core/ask.js";
import type { Unasked } from "../../core/errors.js";
import type { Driver, Part } from "../driver.js";
import { badCursor } from "../sql/cursor.js";

interface PageOf<Row> {
  readonly rows: readonly Row[];
  readonly cursors: readonly string[];
  readonly next: string | null;
}

/** How pages of one kind are asked for and merged. */
export interface Merging<Row, Page extends PageOf<Row>> {
  ask(driver: Driver, after: string | undefined): Promise<Page>;
  /** Which of two rows comes first; each is given with its page and its place in it. */
  compare(a: Page, i: number, b: Page, j: number): number;
  /** At most so many rows. */
  readonly limit: number;
  /** Whether rows may come to the end of a list later on, as they do to a log: then each is asked again, also at its end. */
  readonly grows: boolean;
}

/** One row of a merged page, and where it came from. */
export interface Taken<Row, Page> {
  readonly row: Row & { readonly database: string };
  readonly page: Page;
  readonly i: number;
}

export interface Merged<Row, Page> {
  readonly taken: readonly Taken<Row, Page>[];
  readonly cursors: readonly string[];
  readonly next: string | null;
}

/** @throws IncompleteError, its `found` made by `show`, when some databases could not be asked: they are left out until the list begins anew. */
export async function mergedPage<Row, Page extends PageOf<Row>, Shown>(
  parts: readonly Part[],
  after: string | undefined,
  merging: Merging<Row, Page>,
  show: (merged: Merged<Row, Page>) => Shown,
): Promise<Shown> {
  const places = new Places(parts, after);
  const open = parts.filter(({ name }) => places.isOpen(name));
  const asked = await askEach(open, ({ name, driver }) =>
    merging.ask(driver, places.cursor(name) ?? undefined),
  );
  if (asked.answers.length === 0 && asked.unasked.length === parts.length) throw noneAnswers(asked);
  for (const { database } of asked.unasked) places.passOver(database);
  const sources = asked.answers.map(({ part, said }) => new Source<Row, Page>(part.name, said));
  const merged = merge(sources, places, merging);
  return complete([...places.passedOver(asked.unasked)], show(merged));
}

function merge<Row, Page extends PageOf<Row>>(
  sources: readonly Source<Row, Page>[],
  places: Places,
  { compare, limit, grows }: Merging<Row, Page>,
): Merged<Row, Page> {
  const taken: Taken<Row, Page>[] = [];
  const cursors: string[] = [];
  // What comes next of a database whose page was too short is not known: nothing of the others may go before it.
  while (taken.length < limit && !sources.some((source) => source.isDry)) {
    const first = firstOf(sources, compare);
    if (first === undefined) break;
    taken.push(first.take());
    places.set(first.name, first.cursor);
    cursors.push(places.text());
  }
  for (const { name, isUsedUp, page } of sources)
    if (isUsedUp && (page.next !== null || !grows)) places.set(name, page.next);
  const isEnd = grows ? taken.length < limit && sources.every(isAtEnd) : places.isEnd;
  return { taken, cursors, next: isEnd ? null : places.text() };
}

function isAtEnd({ isUsedUp, page }: Source<unknown, PageOf<unknown>>): boolean {
  return isUsedUp && page.next === null;
}

function firstOf<Row, Page extends PageOf<Row>>(
  sources: readonly Source<Row, Page>[],
  compare: Merging<Row, Page>["compare"],
): Source<Row, Page> | undefined {
  let first: Source<Row, Page> | undefined;
  for (const source of sources)
    if (
      !source.isUsedUp &&
      (first === undefined || compare(source.page, source.at, first.page, first.at) < 0)
    )
      first = source;
  return first;
}

/** One database's page while its rows are taken. */
class Source<Row, Page extends PageOf<Row>> {
  /** The row that is taken next. */
  at = 0;

  constructor(
    readonly name: string,
    readonly page: Page,
  ) {}

  get isUsedUp(): boolean {
    return this.at === this.page.rows.length;
  }

  /** There is more, and it is not here. */
  get isDry(): boolean {
    return this.isUsedUp && this.page.next !== null;
  }

  /** Behind the row that was taken last. */
  get cursor(): string {
    return this.page.cursors[this.at - 1]!;
  }

  take(): Taken<Row, Page> {
    const { page, at: i, name: database } = this;
    this.at++;
    return { row: { ...page.rows[i]!, database }, page, i };
  }
}

/** A cursor of a database; null: it has no more; false: it could not be asked, and is left out. */
type Place = string | null | false;

/** Where the list stands in each database; those without a place have not been begun. */
class Places {
  private readonly places: Map<string, Place>;

  constructor(
    private readonly parts: readonly Part[],
    after: string | undefined,
  ) {
    this.places = new Map(after === undefined ? [] : placesOf(parts, after));
  }

  isOpen(name: string): boolean {
    const place = this.places.get(name);
    return place === undefined || typeof place === "string";
  }

  cursor(name: string): string | null {
    return this.places.get(name) || null;
  }

  set(name: string, place: string | null): void {
    this.places.set(name, place);
  }

  passOver(name: string): void {
    this.places.set(name, false);
  }

  /** These, and those that an earlier page could not ask. */
  *passedOver(now: readonly Unasked[]): Generator<Unasked> {
    yield* now;
    const known = new Set(now.map(({ database }) => database));
    for (const [database, place] of this.places)
      if (place === false && !known.has(database))
        yield { database, reason: "it could not be asked when this list was begun" };
  }

  get isEnd(): boolean {
    return this.parts.every(({ name }) => !this.isOpen(name));
  }

  /** In letters that a command line takes as they are. */
  text(): string {
    return Buffer.from(JSON.stringify([...this.places])).toString("base64url");
  }
}

/** @throws InvalidInputError for what is no cursor of a list over these databases. */
function placesOf(parts: readonly Part[], cursor: string): [string, Place][] {
  const entries = parsed(cursor);
  if (!Array.isArray(entries) || !entries.every((entry) => isEntry(parts, entry)))
    throw badCursor(cursor);
  return entries as [string, Place][];
}

function isEntry(parts: readonly Part[], entry: unknown): boolean {
  if (!Array.isArray(entry) || entry.length !== 2) return false;
  const [name, place] = entry as unknown[];
  const known = parts.some((part) => part.name === name);
  return known && (typeof place === "string" || place === null || place === false);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return undefined;
  }
}

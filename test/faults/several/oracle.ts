/** Judges what the log outside and the databases themselves say. It knows nothing of the queue but its tables. */
import type { Held, Name } from "./databases.js";
import type { Call, Change, Story } from "./log.js";

/** A fault: from the moment it was ordered until it was there, and until it was taken back, in the log's milliseconds. */
export interface Struck {
  readonly what: string;
  readonly name: Name;
  readonly from: number;
  readonly to: number;
  readonly until: number;
}

export interface Evidence {
  readonly story: Story;
  readonly held: Readonly<Record<Name, Held>>;
  readonly struck: readonly Struck[];
  /** Calls asked for before the first moment, while databases were being opened, or after the second one, all at once, are not timed. */
  readonly timed: readonly [from: number, until: number];
}

export interface Figures {
  readonly acked: number;
  readonly unknown: number;
  /** Calls in flight when a fault began, over all of them. */
  readonly inFlight: number;
  readonly p50: number;
  readonly p99: number;
  readonly slowest: number;
  /** How many took longer than a second. */
  readonly slow: number;
  readonly startedAgain: number;
}

const DONE = 1;
/** done, abandoned, cancelled, moved: the job ends with it. */
export const TERMINAL: ReadonlySet<number> = new Set([DONE, 3, 4, 9]);
const P99_MS = 1_500;

const bare = (id: string): string => id.replaceAll("-", "");

/** What is wrong, in words; nothing, if all is as promised. */
export function judge(evidence: Evidence): { wrong: string[]; figures: Figures } {
  const wrong: string[] = [];
  const { story, held, struck } = evidence;
  const places = placesOf(held);
  const ends = endsOf(held);
  for (const call of story.calls) wrong.push(...wrongWith(call, places, ends));
  const asked = new Set(story.calls.map(({ id }) => bare(id)));
  for (const id of places.keys()) if (!asked.has(id)) wrong.push(`${id}: nobody asked for it`);
  wrong.push(...wrongRuns(story, ends));
  const figures = figuresOf(evidence);
  for (const call of story.calls)
    if (call.settled === "unknown" && !struck.some((one) => isInFlight(call, one)))
      wrong.push(`${call.id}: unknown, but not in flight when a fault began`);
  if (figures.p99 > P99_MS) wrong.push(`p99 of enqueue is ${figures.p99.toFixed(0)} ms`);
  return { wrong, figures };
}

/** Where each job has a row; a place twice for two rows. */
function placesOf(held: Evidence["held"]): Map<string, Name[]> {
  const places = new Map<string, Name[]>();
  for (const name of Object.keys(held) as Name[])
    for (const id of held[name].jobs) places.set(id, [...(places.get(id) ?? []), name]);
  return places;
}

interface Ends {
  /** Of a job: the states of its last outcomes. */
  readonly terminal: Map<string, number[]>;
  /** "job/run" of every outcome. */
  readonly runs: readonly string[];
}

function endsOf(held: Evidence["held"]): Ends {
  const terminal = new Map<string, number[]>();
  const runs: string[] = [];
  for (const { outcomes } of Object.values(held))
    for (const { job, run, state } of outcomes) {
      runs.push(`${job}/${run}`);
      if (TERMINAL.has(state)) terminal.set(job, [...(terminal.get(job) ?? []), state]);
    }
  return { terminal, runs };
}

function wrongWith(call: Call, places: Map<string, Name[]>, { terminal }: Ends): string[] {
  const id = bare(call.id);
  const where = places.get(id) ?? [];
  const ended = terminal.get(id) ?? [];
  const say = (what: string): string[] => [`${call.id}: ${what}`];
  if (where.length > 1) return say(`is in ${where.join(" and ")}`);
  if (where.length === 1 && (ended.length !== 1 || ended[0] !== DONE))
    return say(`is in ${where[0]} and ended with [${ended.join()}]`);
  switch (call.settled) {
    case "acked":
      return where.length === 0 ? say("was acknowledged and is nowhere") : [];
    case "refused":
      return say(`was refused${where.length > 0 ? ", and is there" : ""}: ${call.error}`);
    case "unknown":
      if (!call.ids.includes(call.id)) return say("is unknown, and its error does not name it");
      if (where.length === 1 && where[0] !== call.database)
        return say(`is unknown in ${call.database}, and is in ${where[0]}`);
      return [];
    case null:
      return say("was never answered");
  }
}

function wrongRuns(story: Story, { runs }: Ends): string[] {
  const starts = story.starts.map(({ id, run }) => `${bare(id)}/${run}`);
  const done = story.done.map(({ id }) => bare(id));
  return [
    ...twice("has two outcomes", runs),
    ...twice("was started twice", starts),
    ...twice("was told twice to be done", done),
  ];
}

function twice(what: string, keys: readonly string[]): string[] {
  const seen = new Set<string>();
  return keys.filter((key) => seen.has(key) || !seen.add(key)).map((key) => `${key}: ${what}`);
}

function isInFlight({ askedAt, settledAt }: Call, { from, to }: Struck): boolean {
  return askedAt <= to && (settledAt === null || settledAt >= from);
}

function figuresOf({ story, struck, timed: [from, until] }: Evidence): Figures {
  const times = story.calls
    .filter((call) => call.settled === "acked" && call.askedAt >= from && call.askedAt < until)
    .map((call) => call.settledAt! - call.askedAt)
    .toSorted((a, b) => a - b);
  const count = (settled: Call["settled"]): number =>
    story.calls.filter((call) => call.settled === settled).length;
  const began = new Set(story.starts.map(({ id }) => id));
  return {
    acked: count("acked"),
    unknown: count("unknown"),
    inFlight: struck.reduce(
      (sum, one) => sum + story.calls.filter((call) => isInFlight(call, one)).length,
      0,
    ),
    p50: at(times, 0.5),
    p99: at(times, 0.99),
    slowest: times.at(-1) ?? Number.NaN,
    slow: times.filter((ms) => ms > 1_000).length,
    startedAgain: story.starts.length - began.size,
  };
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Gaps between visits that a dead database got from one process, beside those that one after the other may have. */
export function wrongGaps(
  visits: readonly number[],
  bounds: { readonly least: number; readonly most: number },
): number[] {
  return visits
    .slice(1)
    .map((visit, i) => visit - visits[i]!)
    .filter((gap) => gap < bounds.least || gap > bounds.most);
}

/** Of these calls: how many went where, as shares of the mean. */
export function sharesOf(calls: readonly Call[], held: Evidence["held"]): Record<Name, number> {
  const places = placesOf(held);
  const counts: Record<Name, number> = { file: 0, pg: 0, my: 0 };
  for (const { id } of calls) for (const name of places.get(bare(id)) ?? []) counts[name]++;
  const mean = calls.length / Object.keys(counts).length;
  return { file: counts.file / mean, pg: counts.pg / mean, my: counts.my / mean };
}

/** Changes of a database, as one process told them: each starts where the one before it ended, and none is back before its fault is over. */
export function wrongChanges(changes: readonly Change[], struck: readonly Struck[]): string[] {
  const wrong = changes.flatMap(({ name, to, at, log }) =>
    struck
      .filter((one) => to === "healthy" && one.name === name && at > one.to && at < one.until)
      .map(({ what }) => `${log} ${name}: healthy while ${what}`),
  );
  const last = new Map<string, string>();
  for (const { name, from, to, log } of changes) {
    const key = `${log} ${name}`;
    const before = last.get(key) ?? "healthy";
    if (from !== before) wrong.push(`${key}: from ${from}, and it was ${before}`);
    if (from === to) wrong.push(`${key}: from ${from} to ${to}`);
    last.set(key, to);
  }
  return wrong;
}

/**
 * Producers and workers on SQLite, PostgreSQL and MariaDB together, while one of the three after the other is struck, and comes
 * back. Every step waits for what the processes say of it. At the end the log outside and the databases themselves are judged.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { temporaryFolder } from "../support.js";
import { Databases, NAMES, type Name } from "./databases.js";
import { readStory, type Story } from "./log.js";
import {
  judge,
  sharesOf,
  TERMINAL,
  wrongChanges,
  wrongGaps,
  type Evidence,
  type Struck,
} from "./oracle.js";
import { Party } from "./parties.js";

/** Everything at its full size, with QUDO_SEVERAL_FULL=1: half an hour instead of two minutes. */
export const FULL = Boolean(process.env["QUDO_SEVERAL_FULL"]);
const JOBS = FULL ? 20_000 : 2_000;
const RETRY_SECONDS = FULL ? 30 : 1;
/** Calls per second, of all producers. */
const RATE = 80;
const LEASE = "6s";
const STATEMENT_TIMEOUT = "500ms";
const PRODUCERS = 2;
const WORKERS = 2;
/** To see whether the shares are even again: chance moves each of three by less than 20 % but once in ten million times. */
const BURST = 2_000;
/** The first calls, which nobody times. */
const FIRST = 60;
/** How far from 1 a share may be. */
const EVEN = 0.2;
/** So often a database that is out is visited before it comes back. */
const PROBES = 3;
/** What a busy machine may add to a timer; nothing takes anything away from one. */
const LATE_MS = 1_000;

export interface Fault {
  readonly what: string;
  readonly strikes: Name;
  begin(databases: Databases): Promise<void>;
  end(databases: Databases): Promise<void>;
  /** It fills a disk: left out, which is said, where none can be mounted for it. */
  readonly needsDisk?: true;
  /** Each visit is one connection that the proxy sees, and takes so long. Undefined: visits are not seen. */
  readonly visitMs?: number;
  /** What was asked before everybody knew may visit for so long. */
  readonly lastsMs?: number;
}

interface Stage {
  readonly databases: Databases;
  readonly parties: Party[];
  readonly struck: Struck[];
  readonly visits: string[];
}

const now = (): number => performance.timeOrigin + performance.now();

/** Prints the figures. */
export async function play(all: readonly Fault[]): Promise<void> {
  const folder = temporaryFolder();
  await using databases = await Databases.open(folder.path);
  const faults = all.filter((fault) => fault.needsDisk !== true || databases.mayFill());
  const stage: Stage = { databases, parties: [], struck: [], visits: [] };
  try {
    for (let n = 0; n < PRODUCERS + WORKERS; n++) await enter(stage, n);
    await Promise.all(stage.parties.map((party) => party.ready()));
    const producers = producersOf(stage);
    // All of them have opened all of the databases before anything happens.
    await Promise.all(producers.map((party) => party.burst(FIRST / PRODUCERS)));
    const began = now();
    for (const party of producers) party.rate(RATE / PRODUCERS);
    for (const fault of faults) await strike(stage, fault);
    // The rest of the jobs, without faults.
    await sleep(Math.max(0, (JOBS / RATE) * 1_000 - (now() - began)));
    for (const party of producers) party.rate(0);
    const until = now();
    await Promise.all(producers.map((party) => party.burst(BURST / PRODUCERS)));
    await Promise.all(producers.map((party) => party.stop()));
    await worked(databases);
    await Promise.all(
      stage.parties.filter(({ role }) => role === "worker").map((one) => one.stop()),
    );
    const story = readStory(stage.parties.map(({ log }) => log));
    await settle(stage, faults, story, [began, until]);
  } finally {
    await Promise.all(stage.parties.map((party) => party.kill()));
  }
}

const producersOf = ({ parties }: Stage): Party[] =>
  parties.filter(({ role }) => role === "producer");

async function enter({ databases, parties }: Stage, n: number): Promise<void> {
  const role = n < PRODUCERS ? "producer" : "worker";
  const name = `${role}-${n}`;
  const list = await databases.listFor(name, STATEMENT_TIMEOUT);
  const options = { role, databases: list, retrySeconds: RETRY_SECONDS, lease: LEASE } as const;
  parties.push(new Party(name, databases.folder, options));
}

/** Every process finds out, leaves it in peace, and finds out that it is back. */
async function strike(stage: Stage, fault: Fault): Promise<void> {
  const { databases, parties, struck, visits } = stage;
  const { what, strikes } = fault;
  const from = now();
  await fault.begin(databases);
  const to = now();
  await Promise.all(parties.map((party) => within(what, "found out", party.says(strikes, "out"))));
  const found = now() - from;
  // Whoever does not know whether a job was written asks the same database again, out or not.
  await Promise.all(producersOf(stage).map((party) => party.landed()));
  // The visits of this time are not counted: that for those that are begins behind it.
  await sleep(fault.lastsMs ?? 0);
  const quiet = performance.now();
  await sleep(PROBES * (RETRY_SECONDS * 1_100 + (fault.visitMs ?? 0)) + LATE_MS);
  if (strikes !== "file" && fault.visitMs !== undefined) {
    const gaps = RETRY_SECONDS * 1_000;
    const bounds = {
      least: 0.9 * gaps + fault.visitMs - 1,
      most: 1.1 * gaps + fault.visitMs + LATE_MS,
    };
    for (const { name, role } of parties) {
      if (role !== "producer") continue;
      const seen = databases.proxies(strikes, name)[0]!.arrivals.filter((at) => at > quiet);
      expect(seen.length, `visits of ${name} to ${strikes}, ${what}`).toBeGreaterThanOrEqual(2);
      expect(wrongGaps(seen, bounds), `gaps between visits of ${name}, ${what}`).toEqual([]);
      visits.push(`${what}: ${name} came ${seen.length} times`);
    }
  }
  const back = now();
  struck.push({ what, name: strikes, from, to, until: back });
  await fault.end(databases);
  await Promise.all(
    parties.map((party) => within(what, "is back", party.says(strikes, "healthy"))),
  );
  stage.visits.push(
    `${what}: found out after ${found.toFixed(0)} ms, back after ${(now() - back).toFixed(0)} ms`,
  );
}

const FOUND_MS = 30_000 + 3_000 * RETRY_SECONDS;

async function within<T>(what: string, word: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not ${word} in time`)), FOUND_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Every job there is has ended, says each database by itself. */
async function worked(databases: Databases): Promise<void> {
  for (const name of NAMES)
    for (;;) {
      const { jobs, outcomes } = await databases.held(name);
      const ended = new Set(
        outcomes.filter(({ state }) => TERMINAL.has(state)).map(({ job }) => job),
      );
      if (jobs.every((job) => ended.has(job))) break;
      await sleep(200);
    }
}

async function settle(
  { databases, struck, visits }: Stage,
  faults: readonly Fault[],
  story: Story,
  timed: Evidence["timed"],
): Promise<void> {
  const held = Object.fromEntries(
    await Promise.all(NAMES.map(async (name) => [name, await databases.held(name)] as const)),
  ) as unknown as Evidence["held"];
  const evidence = { story, held, struck, timed };
  const { wrong, figures } = judge(evidence);
  const burst = story.calls.filter(({ askedAt }) => askedAt >= timed[1]);
  const shares = sharesOf(burst, held);
  console.log(
    [
      `${figures.acked} acknowledged, ${figures.unknown} unknown of ${figures.inFlight} in flight at ${struck.length} faults; ` +
        `enqueue p50 ${figures.p50.toFixed(1)} ms, p99 ${figures.p99.toFixed(1)} ms, slowest ${figures.slowest.toFixed(0)} ms, ${figures.slow} above 1 s; ` +
        `started again ${figures.startedAgain}`,
      `shares afterwards: ${NAMES.map((name) => `${name} ${shares[name].toFixed(2)}`).join(", ")}`,
      ...visits,
    ].join("\n"),
  );
  expect(wrong.slice(0, 20)).toEqual([]);
  expect(figures.unknown).toBeLessThanOrEqual(figures.inFlight);
  for (const name of NAMES) {
    expect(shares[name], `share of ${name}`).toBeGreaterThan(1 - EVEN);
    expect(shares[name], `share of ${name}`).toBeLessThan(1 + EVEN);
  }
  expect(wrongChanges(story.changes, struck)).toEqual([]);
  for (const { strikes, what } of faults)
    expect(
      story.lines.some((line) => line.includes(strikes)),
      `a line about ${strikes}, ${what}`,
    ).toBe(true);
}

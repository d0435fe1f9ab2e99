/**
 * Claims behind a heap of dead entries: while somebody's old snapshot is held open, nothing that a drain has taken goes from the
 * index. What each claim reads is counted; the marks' clock is moved by hand.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openPostgres } from "../../src/storage/postgres/index.js";
import type { Dialect, Take } from "../../src/storage/sql/dialect.js";
import { LowWater } from "../../src/storage/sql/low-water.js";
import { looking } from "../../src/storage/sql/looking.js";
import { working } from "../../src/storage/sql/working.js";
import type { Driver } from "../../src/storage/driver.js";
import { newJob } from "../../src/testing/conformance/harness.js";
import { TestWorker, type HeldJob } from "../../src/testing/conformance/worker.js";
import { postgresSettings } from "../conformance/support/postgres.js";
import { has, postgres } from "../servers/index.js";
import { openExplained, type Explained } from "./explained.js";
import { superuser } from "./support.js";

const JOBS = 20_000;
const BATCH = 500;
/** How long each look at ready takes on the marks' clock. */
const LOOK_MS = 10;
/** Pages by which claims of the same size differ. */
const CONSTANT = 100;

interface Claim {
  /** From the lane's beginning. */
  readonly full: boolean;
  /** Pages of memory that were read to take jobs out of ready, and to see whether there are any. */
  readonly taking: number;
  readonly looking: number;
  readonly held: readonly HeldJob[];
}

class Stage {
  now = 0;
  /** Claims fail when they have taken their jobs, before COMMIT. */
  failing = false;
  private takes: Take[] = [];

  private constructor(
    readonly driver: Driver,
    readonly admin: Awaited<ReturnType<typeof superuser>>,
    /** Who holds the old snapshot. */
    private readonly reader: Awaited<ReturnType<typeof superuser>>,
    private readonly of: (work: () => Promise<unknown>) => Promise<Explained[]>,
    readonly close: () => Promise<void>,
  ) {}

  worker!: TestWorker;

  static async open(): Promise<Stage> {
    const place = await (await postgres({ durable: false })).newDatabase();
    const plain = await openPostgres(postgresSettings(place.url));
    await plain.migrate();
    await plain.close();
    const explained = await openExplained(place.url);
    const admin = await superuser(place.url);
    const reader = await superuser(place.url);
    const { dialect } = explained.engine;
    const watched: Dialect = {
      ...dialect,
      takeReady(tx, takes) {
        stage.takes.push(...takes);
        stage.now += LOOK_MS;
        return dialect.takeReady(tx, takes);
      },
      insertLease(lease, claimedAt) {
        if (stage.failing) throw new Error("no lease");
        return dialect.insertLease(lease, claimedAt);
      },
    };
    const lowWater = new LowWater(() => stage.now);
    const engine = { ...explained.engine, dialect: watched, lowWater };
    const driver = { ...working(engine), ...looking(engine) } as unknown as Driver;
    const stage = new Stage(driver, admin, reader, explained.of, async () => {
      await admin.end();
      await reader.end();
      await explained[Symbol.asyncDispose]();
      await place.drop();
    });
    await driver.insertJobs([newJob()]);
    stage.worker = await TestWorker.open(driver);
    await stage.worker.done(await stage.worker.claimOne());
    await stage.fill("generate_series(1, $1::int)", JOBS);
    await admin.query("analyze");
    return stage;
  }

  /** Jobs that are due since these moments, from 1970 on; in the order in which they lie, neighbours share no page. */
  async fill(times: string, value: number, client = this.admin): Promise<void> {
    await client.query(
      `with t as (select gen_random_uuid() as id, g as run_at from ${times} g order by random()),
        j as (insert into qudo_job (id, lane, prio, run_at, created_at, max_attempts, codec, payload_version, payload_text)
          select id, (select id from qudo_lane), 0, run_at, run_at, 6, 1, 1, '{}' from t)
      insert into qudo_ready (lane, prio, run_at, id, run, fails, crashes) select (select id from qudo_lane), 0, run_at, id, 1, 0, 0 from t`,
      [value],
    );
  }

  async claim(limit = BATCH): Promise<Claim> {
    this.takes = [];
    let held: HeldJob[] = [];
    const statements = await this.of(async () => {
      held = await this.worker.claim({ limit });
    });
    const reads = (some: (text: string) => boolean): number =>
      statements.filter(({ text }) => some(text)).reduce((sum, { buffers }) => sum + buffers, 0);
    return {
      full: this.takes.some(({ after }) => after === undefined),
      taking: reads((text) => text.startsWith("delete from") && text.includes("qudo_ready")),
      looking: reads((text) => text.includes("as waiting")),
      held,
    };
  }

  /** Claims until only so many are left, while a snapshot from before it is held. */
  async drain(left: number): Promise<Claim[]> {
    await this.reader.query("begin isolation level repeatable read");
    await this.reader.query("select count(*) from qudo_ready");
    const claims: Claim[] = [];
    for (let there = JOBS; there > left; there -= BATCH) claims.push(await this.claim());
    return claims;
  }

  /** Until the claims begin at the mark again. */
  async toMark(): Promise<void> {
    while ((await this.claim(10)).full) continue;
  }
}

describe.skipIf(!(await has("postgres")))(
  "behind 20,000 dead entries",
  { timeout: 120_000 },
  () => {
    let stage: Stage;
    beforeEach(async () => {
      stage = await Stage.open();
    });
    afterEach(() => stage.close());

    test("a claim reads as much as without them; what reads them all is a tenth of the time", async () => {
      const claims = await stage.drain(0);
      expect(new Set(claims.flatMap(({ held }) => held.map(({ job }) => job))).size).toBe(JOBS);
      const marked = claims.filter(({ full }) => !full);
      const clean = claims[0]!.taking;
      expect(Math.max(...marked.map(({ taking }) => taking))).toBeLessThanOrEqual(clean + CONSTANT);
      expect(Math.max(...claims.slice(2).map((claim) => claim.looking))).toBeLessThan(CONSTANT);
      // The first two, before it is worth it, and every eleventh.
      expect(claims.length - marked.length).toBeLessThanOrEqual(2 + Math.ceil(claims.length / 11));
      // Were there no heap nothing would be shown.
      expect(Math.max(...claims.map(({ taking }) => taking))).toBeGreaterThan(clean + 10_000);
    });

    /** A job of higher priority, one that was released and one whose insert is committed late, each before the mark. */
    async function beforeTheMark(): Promise<string[]> {
      const { driver, worker, admin } = stage;
      const [released] = await stage.worker.claim({ limit: 1 });
      await admin.query("begin");
      await stage.fill("generate_series($1::int, $1::int)", 0);
      const [late] = (await admin.query("select id from qudo_ready where run_at = 0")).rows;
      await stage.drain(JOBS - 3_000);
      await stage.toMark();
      const urgent = newJob({ priority: 5 });
      await driver.insertJobs([urgent]);
      await worker.release(released!);
      await admin.query("commit");
      return [urgent.id, late.id, released!.job];
    }

    test("what comes to lie before the mark is claimed after ten times the duration of a full look", async () => {
      const before = await beforeTheMark();
      const due = stage.now + 10 * LOOK_MS;
      const early = await stage.claim(10);
      expect({ full: early.full, took: early.held.length }).toEqual({ full: false, took: 10 });
      expect(early.held.some(({ job }) => before.includes(job))).toBe(false);
      let claim = early;
      while (!claim.full) {
        expect(stage.now).toBeLessThan(due);
        claim = await stage.claim(10);
      }
      expect(claim.held.slice(0, 3).map(({ job }) => job)).toEqual(before);
      expect(claim.held).toHaveLength(10);
    });

    test("or as soon as a claimer could take more than lies behind the mark", async () => {
      const before = await beforeTheMark();
      await stage.admin.query("delete from qudo_ready where prio = 0 and run_at > 3200");
      const jobs = (await stage.claim()).held.map(({ job }) => job);
      expect(jobs).toEqual(expect.arrayContaining(before));
      expect(await stage.driver.counts({})).toMatchObject([{ pending: 0 }]);
    });

    test("or at once where nothing lies behind it", async () => {
      const before = await beforeTheMark();
      const urgent = before.slice(0, 1);
      await stage.admin.query("delete from qudo_ready where prio = 0");
      expect((await stage.claim(1)).held.map(({ job }) => job)).toEqual(urgent);
      expect((await stage.claim(1)).held).toEqual([]);
    });

    test("a claim that is rolled back moves no mark", async () => {
      await stage.drain(JOBS - 3_000);
      await stage.toMark();
      stage.failing = true;
      await expect(stage.claim(10)).rejects.toThrow("no lease");
      stage.failing = false;
      const next = await stage.claim(10);
      expect(next.full).toBe(false);
      const { rows } = await stage.admin.query("select min(run_at)::int as first from qudo_ready");
      const { rows: taken } = await stage.admin.query(
        "select max(run_at)::int as last from qudo_job where id = any($1)",
        [next.held.map(({ job }) => job)],
      );
      expect(taken[0].last + 1, "nothing was passed by").toBe(rows[0].first);
    });
  },
);

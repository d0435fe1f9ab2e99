/** The main job on every engine: the digest of the system's own tools, and a whole group of processes killed amid it. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { Qudo } from "qudo";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { has, mariadb, postgres } from "../servers/index.js";
import { digestOutside, index, inside, start, temporaryFolder, type Started } from "./support.js";

const CLI = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

let folder: ReturnType<typeof temporaryFolder>;
let tree: string;

beforeEach(() => {
  folder = temporaryFolder();
  tree = join(folder.path, "tree");
});
afterEach(() => folder.remove());

function plant(files: number): void {
  for (let i = 0; i < files; i++) {
    const below = join(tree, `folder ${i % 7}`);
    mkdirSync(below, { recursive: true });
    writeFileSync(join(below, `file ${i}.txt`), `${i} is\nthe number\n`.repeat(1 + (i % 50)));
  }
}

/** How often each file is done in the log. */
async function timesDone(database: string): Promise<Map<string, number>> {
  await using qudo = new Qudo({ databases: database });
  const times = new Map<string, number>();
  for await (const { result } of qudo.attempts.list({ states: ["done"] })) {
    const path = JSON.stringify((result as { path: unknown }).path);
    times.set(path, (times.get(path) ?? 0) + 1);
  }
  return times;
}

async function expectWhole(database: string, files: number): Promise<void> {
  const times = await timesDone(database);
  expect(times.size).toBe(files);
  expect([...times].filter(([, n]) => n !== 1)).toEqual([]);
  const env = { ...process.env, QUDO_DATABASE: database };
  const doctor = spawnSync(process.execPath, [CLI, "doctor", "--json"], { env, encoding: "utf8" });
  expect({ status: doctor.status, stderr: doctor.stderr }).toEqual({ status: 0, stderr: "" });
  expect(JSON.parse(doctor.stdout)).toMatchObject({ violations: [] });
}

const AMID = { timeout: 60_000, interval: 20 };

/** Stops the group where it stands, with leases in its hands after some work was done, and says how many; else it goes on. */
async function stopHolding(group: Started, url: string): Promise<number> {
  if ((await leasesOf(group, url)) === 0) return 0;
  group.signal("SIGSTOP");
  const leases = await leasesOf(group, url);
  if (leases === 0) group.signal("SIGCONT");
  return leases;
}

/** Before the first outcome: none. */
async function leasesOf(group: Started, url: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const made = await client.query<{ made: boolean }>(
      "select to_regclass('qudo_outcome') is not null as made",
    );
    if (!made.rows[0]!.made) return 0;
    const { rows } = await client.query<{ pid: number }>(
      `select w.pid from qudo_lease l join qudo_worker w on w.id = l.worker
       where exists (select 1 from qudo_outcome)`,
    );
    return rows.filter(({ pid }) => group.holds(pid)).length;
  } finally {
    await client.end();
  }
}

/** Runs that ended with their process. */
async function takenBack(database: string): Promise<number> {
  await using qudo = new Qudo({ databases: database });
  let n = 0;
  for await (const _ of qudo.attempts.list({ states: ["crashed"] })) n++;
  return n;
}

const ENGINES = [
  {
    name: "SQLite",
    here: true,
    open: async () => ({ url: `sqlite:${join(folder.path, "jobs.db")}`, drop: async () => {} }),
  },
  {
    name: "PostgreSQL",
    here: await has("postgres"),
    open: async () => (await postgres({ durable: false })).newDatabase(),
  },
  {
    name: "MariaDB",
    here: await has("mariadb"),
    open: async () => (await mariadb({ durable: false })).newDatabase(),
  },
];

describe.each(ENGINES)("$name", ({ here, open }) => {
  test.skipIf(!here)("gives the digest that find, sort and sha256sum give", async () => {
    plant(400);
    const { url, drop } = await open();
    try {
      const { code, stdout, stderr } = await index([tree, "--database", url, "--json"]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const outside = digestOutside(tree);
      expect(JSON.parse(stdout)).toMatchObject({
        files: 400,
        done: 400,
        abandoned: 0,
        attempts: 400,
        digest: outside.digest,
      });
      await expectWhole(url, 400);
    } finally {
      await drop();
    }
  });
});

test.skipIf(!ENGINES[1]!.here)(
  "two groups of processes on one PostgreSQL, one of them killed amid its work: nothing lost, nothing twice",
  async () => {
    const files = 4_000;
    plant(files);
    const { url, drop } = await ENGINES[1]!.open();
    const args = [tree, "--database", url, "--json"];
    const [killed, other] = [start(args), start(args)];
    try {
      await expect.poll(() => stopHolding(killed, url), AMID).toBeGreaterThan(0);
      killed.signal("SIGKILL");
      expect((await killed.ended).signal).toBe("SIGKILL");
      expect(killed.alive()).toBe(0);
      const left = await inside(url);
      expect(left.violations).toEqual([]);
      expect(left.done.size).toBeLessThan(files);
      expect(left.done.size).toBeGreaterThan(0);
      const { code, stdout } = await other.ended;
      expect(code).toBe(0);
      const { digest } = digestOutside(tree);
      expect(JSON.parse(stdout)).toMatchObject({ files, done: files, abandoned: 0, digest });
      await expectWhole(url, files);
      expect(await takenBack(url)).toBeGreaterThan(0);
    } finally {
      for (const group of [killed, other]) if (group.alive() > 0) group.signal("SIGKILL");
      await drop();
    }
  },
);

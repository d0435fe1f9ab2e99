/** `npm start`, killed with kill -9 (all its processes) ten times at seeded points, ends with the digest that find and sha256sum give. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { digestOutside, index, inside, temporaryFolder } from "./support.js";

/** Small generator with a printed seed: the same points again with QUDO_SEED. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Counted anew by each process of each start; small enough that ten kills leave something to do. */
function killPoints(seed: number, files: number): string[] {
  const pick = random(seed);
  const at = (point: string, from: number, spread: number): string =>
    `${point}:${from + pick(spread)}`;
  const early = Math.floor(files / 10);
  return [
    at("scan", 1, early),
    at("claim", 2, 4),
    at("settle", 10, 80),
    at("committed", 2, 6),
    at("commit", 2, 6),
    at("scan", 4 * early, 4 * early),
    at("settle", 10, 80),
    at("committed", 2, 6),
    at("claim", 2, 4),
    at("settle", 10, 80),
  ];
}

const FOLDER = "node_modules";

test("ten kills at seeded points: no file lost, none twice, done ones not read again", async () => {
  const seed = Number(process.env["QUDO_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  const folder = temporaryFolder();
  const database = `sqlite:${join(folder.path, "jobs.db")}`;
  const log = join(folder.path, "read.log");
  const outside = digestOutside(FOLDER);
  const args = [FOLDER, "--database", database, "--json"];
  const rows: string[] = [];
  let withJobsInFlight = 0;
  try {
    for (const point of killPoints(seed, outside.files)) {
      const doneBefore = existsSync(join(folder.path, "jobs.db"))
        ? (await inside(database)).done
        : new Set<string>();
      writeFileSync(log, "");
      const end = await index(args, { KILL_AT: point, READ_LOG: log });
      expect(end.signal, `${point} must be reached (seed ${seed}): ${end.stderr}`).toBe("SIGKILL");
      const { inFlight, waiting, done, violations } = await inside(database);
      expect(violations, `after ${point}, seed ${seed}`).toEqual([]);
      expectNotReadAgain(log, doneBefore);
      if (inFlight > 0) withJobsInFlight++;
      rows.push(
        `${point.padEnd(16)} in flight ${String(inFlight).padStart(4)}   waiting ${String(waiting).padStart(5)}   done ${String(done.size).padStart(5)}`,
      );
    }
    const doneBefore = (await inside(database)).done;
    writeFileSync(log, "");
    const end = await index(args, { READ_LOG: log });
    expect(end.stderr).toBe("");
    expectNotReadAgain(log, doneBefore);
    const result = JSON.parse(end.stdout) as Record<string, number | string>;
    console.log(
      `seed ${seed}, ${outside.files} files\n${rows.join("\n")}\nend              ${end.stdout.trim()}`,
    );
    expect(result).toMatchObject({
      files: outside.files,
      done: outside.files,
      abandoned: 0,
      attempts: outside.files,
      digest: outside.digest,
    });
    expect(withJobsInFlight).toBeGreaterThanOrEqual(5);
    expect((await inside(database)).violations).toEqual([]);
  } finally {
    folder.remove();
  }
});

function expectNotReadAgain(log: string, done: ReadonlySet<string>): void {
  const root = `${join(process.cwd(), FOLDER)}/`;
  const read = readFileSync(log, "latin1").split("\n");
  const again = read.filter(
    (path) =>
      path.startsWith(root) &&
      done.has(Buffer.from(path.slice(root.length), "latin1").toString("utf8")),
  );
  expect(again).toEqual([]);
}

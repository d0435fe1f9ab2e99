/** The main job as a user meets it: strange names, vanished files, starting over, stopping, several workers. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestOutside, index, start, temporaryFolder } from "./support.js";

let folder: ReturnType<typeof temporaryFolder>;
let tree: string;
let database: string;

beforeEach(() => {
  folder = temporaryFolder();
  tree = join(folder.path, "tree");
  mkdirSync(tree);
  database = `sqlite:${join(folder.path, "jobs.db")}`;
});
afterEach(() => folder.remove());

const facts = (stdout: string): Record<string, unknown> =>
  JSON.parse(stdout) as Record<string, unknown>;
const write = (name: string | Buffer, text: string | Buffer = "one two\nthree"): void =>
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from(name as string)]), text);

test("paths are bytes, whatever they hold; links, pipes and loops are passed over", async () => {
  const names = [
    "plain.txt",
    "new\nline",
    "-n",
    "--",
    "back\\slash",
    "spa ce",
    "quo'te\"",
    "emoji 🦊",
    "\u{feff}bom",
    ".hidden",
  ];
  for (const name of names) write(name);
  write(Buffer.from([0xff, 0xfe, 0x2e, 0x80]), "not UTF-8");
  write("empty", "");
  mkdirSync(join(tree, "a"));
  mkdirSync(join(tree, "a.b"));
  write("a/z");
  write("a.b/z");
  symlinkSync("plain.txt", join(tree, "link"));
  symlinkSync("..", join(tree, "a", "loop"));
  execFileSync("mkfifo", [join(tree, "pipe")]);
  const outside = digestOutside(tree);
  expect(outside.files).toBe(14);
  const { code, stdout, stderr } = await index([tree, "--database", database, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(facts(stdout)).toMatchObject({
    files: 14,
    done: 14,
    abandoned: 0,
    attempts: 14,
    digest: outside.digest,
  });
  expect(Object.keys(facts(stdout))).toEqual(
    "files,done,abandoned,attempts,bytes,digest,seconds,jobsPerSecond".split(","),
  );
});

test("a file that vanished is tried three times, 200 ms apart, then abandoned with the reason in the table", async () => {
  for (let i = 0; i < 20; i++) write(`file-${i}`);
  write("vanished");
  const env = { VANISH: join(tree, "vanished"), READ_LOG: join(folder.path, "log") };
  const { code, stdout } = await index([tree, "--database", database], env);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^done +20$/m);
  expect(stdout).toMatch(/^failed attempts +3$/m);
  expect(stdout).toMatch(/^abandoned +1$/m);
  expect(stdout).toMatch(/ {2}vanished\n {4}Error: ENOENT/);
  const tries = readFileSync(env.READ_LOG, "utf8")
    .split("\n")
    .filter((path) => path.endsWith("/vanished"));
  expect(tries).toHaveLength(3);
  const again = facts((await index([tree, "--database", database, "--json"])).stdout);
  expect(again).toMatchObject({
    files: 21,
    done: 20,
    abandoned: 1,
    attempts: 23,
    digest: digestOutside(tree).digest,
  });
  expect(Number(/^seconds +([\d.]+)$/m.exec(stdout)![1])).toBeGreaterThanOrEqual(0.4);
});

test("starting again reads nothing that is done; --fresh starts over", async () => {
  for (let i = 0; i < 50; i++) write(`file-${i}`);
  const log = join(folder.path, "log");
  const readsOf = async (...more: string[]): Promise<number> => {
    writeFileSync(log, "");
    const { stdout } = await index([tree, "--database", database, "--json", ...more], {
      READ_LOG: log,
    });
    expect(facts(stdout)).toMatchObject({
      files: 50,
      done: 50,
      digest: digestOutside(tree).digest,
    });
    return readFileSync(log, "latin1")
      .trimEnd()
      .split("\n")
      .filter((path) => path.startsWith(tree)).length;
  };
  expect(await readsOf()).toBe(50);
  expect(await readsOf()).toBe(0);
  expect(await readsOf("--fresh")).toBe(50);
  write("file-0", "changed");
  expect(await readsOf("--fresh")).toBe(50);
});

test("SIGTERM stops it, and starting again goes on", async () => {
  const args = ["node_modules", "--database", database];
  const run = start(args);
  await run.printed("Indexing");
  run.signal("SIGTERM");
  const stopped = await run.ended;
  expect(stopped.code).toBe(130);
  expect(stopped.stderr).toContain("Start again to go on");
  const { stdout } = await index([...args, "--json"]);
  const outside = digestOutside("node_modules");
  expect(facts(stdout)).toMatchObject({
    files: outside.files,
    done: outside.files,
    attempts: outside.files,
    digest: outside.digest,
  });
});

test("four worker processes on one file, each served", async () => {
  const { stdout } = await index(["node_modules", "--database", database, "--workers", "4"]);
  const shares = /^each worker did +(.+)$/m
    .exec(stdout)![1]!
    .split("; ")
    .map((n) => Number(n.replaceAll(",", "")));
  console.log(`four workers on one file did ${shares.join(", ")} jobs`);
  expect(shares).toHaveLength(4);
  for (const share of shares) expect(share).toBeGreaterThan(0);
  expect(shares.reduce((a, b) => a + b, 0)).toBe(digestOutside("node_modules").files);
});

test.each([
  [["--workers", "0"], "--workers takes a whole number"],
  [["--nonsense"], "--nonsense"],
  [["no-such-folder"], "is no folder"],
])("wrong usage %s is told, with the help, and exits 2", async (args, message) => {
  const { code, stderr } = await index([...args, "--database", database]);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr).toContain("npm start -- DIR");
});

test.each([0, 150, 400])(
  "workers whose parent was killed %d ms after it began do not stay",
  async (ms) => {
    const run = start(["node_modules", "--database", database]);
    await run.printed("Indexing");
    // No signal tells how far the workers are with their start: that is what is varied.
    await new Promise((resolve) => setTimeout(resolve, ms));
    run.killMain();
    const { stderr } = await run.ended;
    expect(stderr).toBe("");
    await expect.poll(() => run.alive(), { timeout: 20_000 }).toBe(0);
  },
);

/** status --watch, explain, attempts, changes, overdue: what they print, where, and how they end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WHY_CODES, type AttemptInfo, type Change, type Explanation } from "../../src/index.js";
import { Cli, MAIN, newFolder, run, runJson, TERMINALS } from "./support/cli.js";
import { zoo, type Zoo } from "./support/jobs.js";

let folder: ReturnType<typeof newFolder>;
let database: string;
let ids: Zoo;

beforeAll(async () => {
  folder = newFolder();
  database = `sqlite:${folder.path("jobs.db")}`;
  ids = await zoo(database);
});
afterAll(() => folder.remove());

const on = (command: string, ...args: string[]) => run([command, "--database", database, ...args]);
const json = async <T>(command: string, ...args: string[]): Promise<T> =>
  (await runJson<T>([command, "--database", database, ...args])).json;

const NASTY = "\u001B";

/** A command in a terminal of its own, as a person has it; keys are typed into it. */
class Typed implements AsyncDisposable {
  private readonly child;
  private readonly ended: Promise<unknown>;
  private changed: () => void = () => undefined;
  shown = "";

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const words = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(" ");
    const { NO_COLOR: _, QUDO_DATABASE: __, ...inherited } = process.env;
    const line = `stty cols 120 rows 30; ${words}; echo "ended $?"`;
    this.child = spawn("script", ["-qec", line, "/dev/null"], { env: { ...inherited, ...env } });
    this.ended = once(this.child, "close");
    this.child.stdout.on("data", (data: Buffer) => {
      this.shown += String(data);
      this.changed();
    });
  }

  async shows(text: string): Promise<void> {
    while (!this.shown.includes(text)) {
      if (this.child.exitCode !== null)
        throw new Error(`it ended without "${text}": ${this.shown}`);
      await new Promise<void>((resolve) => (this.changed = resolve));
    }
  }

  type(keys: string): void {
    this.child.stdin.write(keys);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.stdin.end();
    this.child.kill("SIGKILL");
    await this.ended;
  }
}

describe("status --watch", () => {
  const watch = ["status", "--watch", "--every", "100ms"];

  it("into a pipe one look follows another, without a control character, until it is stopped", async () => {
    await using cli = new Cli([...watch, "--database", database]);
    await cli.said("per minute:");
    await cli.said("\n\nsqlite:");
    cli.signal("SIGINT");
    const { code, stdout, stderr } = await cli.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).not.toContain(NASTY);
    expect(stdout).toMatch(/^sqlite:.*jobs\.db {2}20\d\d-.* {2}every 100 ms$/m);
    expect(stdout).toMatch(/^\d unfinished · \d due · 0 running · 0 held · \d waiting/m);
    expect(stdout).toMatch(/^queue +kind +pending +failed +delayed +reserved +running +/m);
    expect(stdout).toContain("No workers.");
  });

  it("--json gives one object a line for each look", async () => {
    await using cli = new Cli([...watch, "--json", "--database", database]);
    await cli.said('}\n{"at"');
    cli.signal("SIGTERM");
    const { code, stdout } = await cli.ended;
    expect(code).toBe(0);
    const looks = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(Object.keys(looks[0]!)).toEqual(["at", "database", "figures", "lanes", "workers"]);
    expect(looks[0]!["figures"]).toMatchObject({ running: 0, outstanding: 3, delayed: 2 });
  });

  it("ends quietly when its reader has seen enough", async () => {
    await using cli = new Cli([...watch, "--database", database]);
    await cli.said("per minute:");
    cli.closeStdout();
    expect(await cli.ended).toMatchObject({ code: 0, stderr: "" });
  });

  it("fails as status does where there is nothing, and refuses what it cannot do", async () => {
    const nothing = await run([...watch, "--database", `sqlite:${folder.path("none.db")}`]);
    expect(nothing).toMatchObject({ code: 1, stdout: "" });
    expect(nothing.stderr).toContain("[QUDO_DATABASE_UNREACHABLE]");
    expect((await on("status", "--every", "1s")).stderr).toContain("--every goes with --watch");
    expect((await on("status", "--watch", "--every", "5ms")).code).toBe(2);
  });

  it.skipIf(!TERMINALS)("in a terminal q ends it, and the terminal is given back", async () => {
    await using typed = new Typed([...watch, "--database", database]);
    await typed.shows("q ends");
    await typed.shows("per minute");
    typed.type("q");
    await typed.shows("ended 0");
    expect(typed.shown).toContain("\u001B[?1049h");
    expect(typed.shown.indexOf("\u001B[?25h\u001B[?1049l")).toBeGreaterThan(0);
    // After the first picture lines are written in their places, and nothing is wiped.
    expect(typed.shown.split("\u001B[H\u001B[J").length).toBeLessThanOrEqual(3);
  });

  it.skipIf(!TERMINALS)("Ctrl-C ends it, too; with NO_COLOR there are no colours", async () => {
    await using typed = new Typed([...watch, "--database", database], { NO_COLOR: "1" });
    await typed.shows("per minute");
    typed.type("\u0003");
    await typed.shows("ended 0");
    // Colours and weights end with "m".
    // oxlint-disable-next-line no-control-regex -- that is what is looked for
    expect(typed.shown).not.toMatch(/\u001B\[\d+m/);
  });
});

describe("explain", () => {
  it("says why, with its code and what to do", async () => {
    const { code, stdout, stderr } = await on("explain", ids.failed);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [title, about] = stdout.split("\n");
    expect(title).toBe(`${ids.failed}: failed`);
    expect(about).toBe("mail.send of the queue mail");
    expect(stdout).toMatch(/^ {2}Try 1 of 3 failed; .* \[backoff\]$/m);
    expect(stdout).toMatch(/^ {2}.* \[no_workers\]\n {4}Start one: /m);
    expect(stdout).not.toContain(NASTY);
  });

  it.each([
    ["done", ["done"]],
    ["abandoned", ["abandoned"]],
    ["cancelled", ["cancelled"]],
    ["failed", ["backoff", "no_workers"]],
    ["delayed", ["delayed", "no_workers"]],
    ["pending", ["no_workers"]],
  ] as const)("--json of a job that is %s", async (state, codes) => {
    const { job, at, reasons } = await json<Explanation>("explain", ids[state]);
    expect(reasons.map(({ code }) => code)).toEqual(codes);
    expect([job!.id, typeof at]).toEqual([ids[state], "string"]);
    for (const { code, says, advice } of reasons) {
      expect(Object.keys(WHY_CODES)).toContain(code);
      expect(says.length * advice.length).toBeGreaterThan(0);
    }
  });

  it("exits with 1 for what is not there, with 2 for what is no id", async () => {
    const absent = "019c5f3a-1f0e-7c3a-9b62-0f6e5f1c2d3e";
    const { code, stderr } = await on("explain", absent);
    expect(code).toBe(1);
    expect(stderr).toContain("[QUDO_JOB_ABSENT]");
    expect((await on("explain", "x")).code).toBe(2);
  });
});

interface Attempts {
  attempts: AttemptInfo[];
  next: string | null;
}

describe("attempts", () => {
  it("are listed newest first, a line each, without anything that a terminal obeys", async () => {
    const { code, stdout, stderr } = await on("attempts");
    expect(code).toBe(0);
    const [title, ...lines] = stdout.trimEnd().split("\n");
    expect(title).toMatch(/^job +run +kind +queue +came to +when +took +error$/);
    expect(lines).toHaveLength(4);
    expect(stderr).toBe("4 runs.\n");
    expect(stdout).not.toContain(NASTY);
    const { attempts } = await json<Attempts>("attempts");
    const times = attempts.map(({ endedAt }) => String(endedAt));
    expect(times).toEqual(times.toSorted().toReversed());
    const other = await json<Attempts>("attempts", "--oldest-first");
    expect(other.attempts).toEqual(attempts.toReversed());
  });

  it("are narrowed, and paged by offset and by cursor", async () => {
    const all = (await json<Attempts>("attempts")).attempts;
    const bad = await json<Attempts>("attempts", "--state", "failed,abandoned");
    expect(bad.attempts.map(({ job }) => job).toSorted()).toEqual(
      [ids.failed, ids.abandoned].toSorted(),
    );
    const one = await json<Attempts>("attempts", "--offset", "1", "--limit", "2");
    expect(one.attempts).toEqual(all.slice(1, 3));
    const rest = await json<Attempts>("attempts", "--after", one.next!);
    expect(rest).toEqual({ attempts: all.slice(3), next: null });
    const kinds = ["--kind", "mail.gone", "--kind", "none"];
    expect((await json<Attempts>("attempts", ...kinds)).attempts).toHaveLength(1);
    expect((await on("attempts", "--until", "1h")).stderr).toBe("No such runs.\n");
    expect((await on("attempts", "--state", "well")).code).toBe(2);
    expect((await on("attempts", "--job", ids.done)).stdout).toContain(ids.done);
  });
});

describe("changes", () => {
  it("tells what happened, a line each, in the order of time", async () => {
    const { code, stdout } = await on("changes", "--since", "1h");
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line) => line.split(/ {2,}/)[1]).toSorted()).toEqual(
      ["abandoned", "cancelled", "done", "due", "failed"].toSorted(),
    );
    expect(stdout).not.toContain(NASTY);
    expect((await on("changes", "--since", "1h", "--kind", "mail.gone")).stdout).toMatch(
      new RegExp(
        `^20\\d\\d-\\d\\d-\\d\\d [\\d:.]+ {2}abandoned {2}${ids.abandoned}/1 {2}mail\\.gone mail`,
      ),
    );
  });

  it("goes on with what happens, as objects in lines, until it is stopped", async () => {
    const place = `sqlite:${folder.path("followed.db")}`;
    await run(["migrate", "--database", place]);
    const args = ["--since", "1h", "--follow", "--every", "20ms", "--json"];
    await using cli = new Cli(["changes", ...args, "--database", place]);
    const added = await runJson<{ jobs: { id: string }[] }>(
      "enqueue greet {} --database".split(" ").concat(place),
    );
    const { id } = added.json.jobs[0]!;
    await cli.said(id);
    await run(["cancel", id, "--database", place]);
    await cli.said("cancelled");
    cli.signal("SIGINT");
    const { code, stdout } = await cli.ended;
    expect(code).toBe(0);
    const told = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Change);
    expect(told.map(({ what, job }) => [what, job])).toEqual([
      ["due", id],
      ["cancelled", id],
    ]);
  });
});

describe("overdue", () => {
  it("lists what waits for too long, and exits with 1 then", async () => {
    const { code, stdout } = await on("overdue", "--longer-than", "1ms");
    expect(code).toBe(1);
    expect(stdout).toContain("Nothing has been running for too long.");
    expect(stdout).toMatch(/^job +kind +queue +waits for +priority +failed tries$/m);
    expect(stdout).toContain(ids.pending);
    expect(stdout).not.toContain(ids.delayed);
    const { json: found, code: again } = await runJson<{ waiting: unknown[]; more: boolean }>(
      "overdue --longer-than 1ms --database".split(" ").concat(database),
    );
    expect([again, found.waiting.length, found.more]).toEqual([1, 1, false]);
  });

  it("exits with 0 when nothing does", async () => {
    const { code, stdout } = await on("overdue", "--longer-than", "1h");
    expect(code).toBe(0);
    expect(stdout).toContain("Nothing has been waiting for too long.");
  });
});

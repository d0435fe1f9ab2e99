import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { widthOf } from "../../src/cli/text.js";
import type { JobInfo } from "../../src/index.js";
import { Cli, newFolder, run, runInTerminal, runJson, TERMINALS } from "./support/cli.js";
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

interface Listed {
  jobs: JobInfo[];
  next: string | null;
}

const list = (...args: string[]) => run(["list", "--database", database, ...args]);
const listed = async (...args: string[]): Promise<Listed> =>
  (await runJson<Listed>(["list", "--database", database, ...args])).json;
const idsOf = async (...args: string[]): Promise<string[]> =>
  (await listed(...args)).jobs.map(({ id }) => id);

describe("list", () => {
  it("shows those that wait, then those that ended, one line each, uncut into a pipe", async () => {
    const { code, stdout, stderr } = await list();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "6 jobs.\n" });
    const [title, ...lines] = stdout.trimEnd().split("\n");
    expect(title).toMatch(/^id +kind +queue +state +tries +when +last error$/);
    expect(
      lines
        .slice(0, 3)
        .map((line) => line.slice(0, 36))
        .toSorted(),
    ).toEqual([ids.pending, ids.failed, ids.delayed].toSorted());
    const about = (id: string) => lines.find((line) => line.startsWith(id))!;
    expect(about(ids.failed)).toMatch(
      / mail\.send +mail +failed +1\/3 +in \d+ min +Error: refused 报告 /,
    );
    expect(about(ids.delayed)).toMatch(/ 报告\.生成😀 +default +pending +0\/6 +in 2 h$/);
    expect(about(ids.abandoned)).toMatch(/abandoned .* there is no such mailbox/);
    expect(about(ids.done)).toMatch(/ done +0\/3 +(now|\d+ (s|min) ago)$/);
  });

  it("takes states, by commas or one by one, and other filters", async () => {
    expect((await idsOf("--state", "failed,abandoned")).toSorted()).toEqual(
      [ids.failed, ids.abandoned].toSorted(),
    );
    expect(await idsOf("--state", "cancelled", "--state", "done")).toHaveLength(2);
    expect(await idsOf("--queue", "mail", "--kind", "mail.gone")).toEqual([ids.abandoned]);
    expect(await idsOf("--since", "1h")).toHaveLength(6);
    expect(await idsOf("--until", "1h")).toEqual([]);
    expect(await idsOf("--since", "2099-01-01")).toEqual([]);
    const none = await list("--queue", "nowhere");
    expect(none).toEqual({ code: 0, stdout: "", stderr: "No such jobs.\n" });
  });

  it("goes on where it ended", async () => {
    const all = await idsOf();
    const found: string[] = [];
    let cursor: string[] = [];
    for (let page = 0; page < 10; page++) {
      const { jobs, next } = await listed("--limit", "4", ...cursor);
      found.push(...jobs.map(({ id }) => id));
      if (next === null) break;
      cursor = ["--after", next];
    }
    expect(found).toEqual(all);
    const { stderr } = await list("--limit", "4");
    const [, after] = /^4 jobs; more with --after (\S+)$/m.exec(stderr)!;
    expect(await idsOf("--after", after!)).toEqual(all.slice(4));
  });

  it.each([
    { args: ["--state", "broken"], says: 'There is no job state "broken"' },
    { args: ["--limit", "0"], says: "--limit is 0; give a whole number from 1 to 1000" },
    { args: ["--limit", "many"], says: '--limit is "many"' },
    { args: ["--since", "yesterday"], says: '--since: "yesterday" is neither' },
    { args: ["--after", "nonsense"], says: '"nonsense" is no cursor' },
    { args: ["extra"], says: "too many arguments" },
  ])("refuses $args", async ({ args, says }) => {
    const { code, stdout, stderr } = await list(...args);
    expect(stderr).toContain(says);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it("does not mind when nobody reads on", async () => {
    await using cli = new Cli(["list", "--database", database]);
    cli.closeStdout();
    expect(await cli.ended).toMatchObject({
      code: 0,
      stderr: expect.not.stringContaining("EPIPE"),
    });
  });
});

// oxlint-disable-next-line no-control-regex -- how they are written
const OUR_COLOURS = /\u001B\[(?:[12]|22|3[1-9])m/g;

describe.skipIf(!TERMINALS)("in a terminal (needs script of util-linux)", () => {
  it.each([60, 80, 200])("of %i columns no line is wider, and every id is whole", async (width) => {
    const text = await runInTerminal(["list", "--database", database], width);
    const lines = text.replace(OUR_COLOURS, "").trimEnd().split("\n");
    for (const line of lines) expect(widthOf(line), line).toBeLessThanOrEqual(width);
    for (const id of Object.values(ids)) expect(text).toContain(id);
    expect(text).toContain("refused 报告");
    const columns = lines[0]!.split(/ +/);
    expect(columns.includes("last error")).toBe(false);
    expect(text.includes("last error")).toBe(width === 200);
  });

  it.each([["list"], ["show"]])(
    "%s lets nothing through that data says to the terminal",
    async (command) => {
      const args = command === "show" ? [ids.failed] : [];
      const text = await runInTerminal([command, "--database", database, ...args], 200);
      expect(text).toContain(String.raw`\x1b[31mred\x1b]0;title\x07 \u202egnp.exe`);
      expect(text.replace(OUR_COLOURS, "")).not.toMatch(/[^\P{Cc}\n]|\u202E/u);
    },
  );
});

/** docs/parity.md as a table: complete, and what it names is there. That its tests pass is for scripts/check-parity.mjs to say. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

interface Row {
  readonly id: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
  readonly source: readonly { readonly file: string; readonly text: string }[];
}

interface Table {
  readonly IDS: readonly string[];
  readonly ON_EACH: string;
  readonly DATABASES: readonly string[];
  readTable(text?: string): Row[];
}

const load = async <T>(name: string): Promise<T> => (await import(name)) as T;
const { IDS, ON_EACH, DATABASES, readTable } = await load<Table>("../../scripts/parity/table.mjs");
const { BREAKS } = await load<{ BREAKS: Record<string, string> }>(
  "../../scripts/parity/breaks.mjs",
);
const rows = readTable();
const read = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "");

test("every item of the two older systems has its row, in order", () => {
  expect(rows.map(({ id }) => id)).toEqual(IDS);
});

test("every row names a test of its own in test/parity, by file and title", () => {
  const missing = rows.flatMap(({ id, tests }) => {
    const found = tests.filter(({ file, title }) => read(file).includes(`test("${title}"`));
    const own = found.some(
      ({ file, title }) => file.startsWith(ON_EACH) && title.startsWith(`${id} `),
    );
    return found.length === tests.length && own ? [] : [id];
  });
  expect(missing).toEqual([]);
});

test("every row names source lines that stand where it says, once, and what proves that they are needed", () => {
  const wrong = rows.flatMap(({ id, source }) => {
    const there = source.every(({ file, text }) => read(file).split(text).length === 2);
    return there && source.length > 0 && BREAKS[id] !== undefined ? [] : [id];
  });
  expect(wrong).toEqual([]);
});

describe("the check", () => {
  let folder: string;
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "qudo-parity-"))));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Exit code and what it says of results in which each row's tests have these ends. */
  function check(status: (id: string, database: string) => string | null) {
    const testResults = rows.flatMap(({ id, tests }) =>
      tests.map(({ file, title }) => ({
        name: `/somewhere/${file}`,
        assertionResults: DATABASES.flatMap((database) => {
          const end = status(id, database);
          return end === null ? [] : [{ title, ancestorTitles: [database], status: end }];
        }),
      })),
    );
    const path = join(folder, "results.json");
    writeFileSync(path, JSON.stringify({ testResults }));
    try {
      const said = execFileSync(process.execPath, ["scripts/check-parity.mjs", path], {
        encoding: "utf8",
      });
      return { code: 0, said };
    } catch (error) {
      const { status: code, stdout: said } = error as { status: number; stdout: string };
      return { code, said };
    }
  }

  test("is content when every row's tests passed on every database", () => {
    expect(check(() => "passed")).toEqual({
      code: 0,
      said: `docs/parity.md: ${IDS.length} of ${IDS.length} rows proved\n`,
    });
  });

  test.each([
    ["failed on one of them", "failed", /^T9 failed: /m],
    ["was skipped on one of them", "skipped", /^T9 did not run on MariaDB: /m],
    ["is not there for one of them", null, /^T9 did not run on MariaDB: /m],
  ])("fails when a row's test %s", (_, end, says) => {
    const { code, said } = check((id, on) => (id === "T9" && on === "MariaDB" ? end : "passed"));
    expect(code).toBe(1);
    expect(said).toMatch(says);
    expect(said).toContain(`${IDS.length - 1} of ${IDS.length} rows proved`);
  });
});

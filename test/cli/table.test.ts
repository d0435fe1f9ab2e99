import { afterEach, describe, expect, it, vi } from "vitest";
import { painter } from "../../src/cli/output.js";
import { table, type Column } from "../../src/cli/table.js";

interface Row {
  name: string;
  kind: string;
  n: number;
  zero: number;
}

const columns: Column<Row>[] = [
  { title: "name", cell: ({ name }) => name },
  { title: "kind", cell: ({ kind }) => kind },
  { title: "count", cell: ({ n }) => n },
  { title: "nothing", cell: ({ zero }) => zero },
  { title: "", cell: () => "" },
];
const rows: Row[] = [
  { name: "a", kind: "x", n: 5, zero: 0 },
  { name: "a-long-name-😀", kind: "an even longer kind", n: 1_234_567, zero: 0 },
];

const below = ({ n }: Row): string => (n > 5 ? "x".repeat(50) : "");
const red = (text: string): string => `<${text}>`;

describe("a table", () => {
  it("puts texts to the left and figures to the right, and leaves out empty columns", () => {
    expect(table(columns, rows, {})).toEqual([
      "name            kind                   count  nothing",
      "a               x                          5        0",
      "a-long-name-😀  an even longer kind  1234567        0",
    ]);
  });

  it("leaves out zeros first where it is too wide", () => {
    expect(table(columns, rows, { width: 46 })).toEqual([
      "name            kind                   count",
      "a               x                          5",
      "a-long-name-😀  an even longer kind  1234567",
    ]);
  });

  it("counts in columns of the terminal: Chinese, Japanese and emoji take two", () => {
    const wide = [{ name: "报告.生成😀" }, { name: "e\u0301e" }, { name: "ｱ" }];
    const look = [
      { title: "name", cell: (row: { name: string }) => row.name },
      { title: "end", cell: () => "|" },
    ];
    expect(table(look, wide, {})).toEqual([
      "name         end",
      "报告.生成😀  |",
      "e\u0301e           |",
      "ｱ            |",
    ]);
    expect(table(look, wide, { width: 11 })).toContain("报告.…  |");
  });

  it("shows what a terminal would obey as it is written in programs", () => {
    const nasty = [{ name: "\u001B[2J\u009B31m\u202Egnp\u0007\n\u007F" }];
    expect(table([{ title: "name", cell: ({ name }) => name }], nasty, {})[1]).toBe(
      String.raw`\x1b[2J\x9b31m\u202egnp\x07\n\x7f`,
    );
  });

  it("leaves out columns that yield before others are too narrow, and cuts whole ones never", () => {
    const look: Column<Row>[] = [
      { title: "name", cell: ({ name }) => name, whole: true },
      { title: "kind", cell: ({ kind }) => kind, least: 10 },
      { title: "why", cell: () => "because", yields: 1 },
      { title: "who", cell: () => "somebody", yields: 2 },
    ];
    const titles = (width: number) => table(look, rows, { width })[0]!.split(/ +/);
    expect(titles(60)).toEqual(["name", "kind", "why", "who"]);
    expect(titles(41)).toEqual(["name", "kind", "why"]);
    expect(titles(30)).toEqual(["name", "kind"]);
    expect(table(look, rows, { width: 10 })[2]).toBe("a-long-name-😀  an ev…");
  });

  it("puts a line below a row where there is something to say, no wider than the rest", () => {
    const lines = table(columns, rows, { width: 40, below });
    expect(lines).toHaveLength(4);
    expect(lines[3]).toBe(`  ${"x".repeat(37)}…`);
  });

  it("colours the text alone, not the space beside it", () => {
    const look = [{ title: "name", cell: ({ name }: Row) => name, paint: () => red }];
    expect(table(look, rows, {})[1]).toBe("<a>");
  });

  it("then cuts texts, the widest first, and never figures", () => {
    expect(table(columns, rows, { width: 31 })).toEqual([
      "name        kind          count",
      "a           x                 5",
      "a-long-na…  an even l…  1234567",
    ]);
  });
});

describe("colours", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("are for terminals, and not for those who set NO_COLOR", () => {
    vi.stubEnv("NO_COLOR", "");
    expect(painter({ isTTY: true }).red("no")).toBe("\u001B[31mno\u001B[39m");
    expect(painter({}).red("no")).toBe("no");
    vi.stubEnv("NO_COLOR", "1");
    expect(painter({ isTTY: true }).red("no")).toBe("no");
  });
});

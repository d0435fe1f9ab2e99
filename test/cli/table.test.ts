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

describe("a table", () => {
  it("puts texts to the left and figures to the right, and leaves out empty columns", () => {
    expect(table(columns, rows, {})).toEqual([
      "name           kind                   count  nothing",
      "a              x                          5        0",
      "a-long-name-😀  an even longer kind  1234567        0",
    ]);
  });

  it("leaves out zeros first where it is too wide", () => {
    expect(table(columns, rows, { width: 46 })).toEqual([
      "name           kind                   count",
      "a              x                          5",
      "a-long-name-😀  an even longer kind  1234567",
    ]);
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

import { describe, expect, it } from "vitest";
import { cut, firstLine, safe, safeJson, safeLines, widthOf, wrap } from "../../src/cli/text.js";

describe("text of others", () => {
  it.each([
    ["an escape sequence", "\u001B]0;owned\u0007", String.raw`\x1b]0;owned\x07`],
    ["the same in one character", "\u009B31m", String.raw`\x9b31m`],
    ["lines, returns, tabs", "a\nb\rc\td", String.raw`a\nb\rc\td`],
    ["turned direction", "\u202Etxt.exe\u2066", String.raw`\u202etxt.exe\u2066`],
    ["half a character", "\uD800x", "\uFFFDx"],
    ["what is harmless", "Ünïcödé 报告 👩‍👩‍👧 \\x1b", "Ünïcödé 报告 👩‍👩‍👧 \\x1b"],
  ])("%s", (_, text, shown) => expect(safe(text)).toBe(shown));

  it("may have lines where lines are wanted", () => {
    expect(safeLines("a\r\n\tb\n\u001Bc")).toBe("a\n  b\n\\x1bc");
  });

  it("means the same in JSON, and holds nothing that a terminal obeys", () => {
    const value = { "\u009Bkey": "\u202E\u007F\u0085\u2028 报告" };
    const json = safeJson(JSON.stringify(value));
    expect(json).toBe(String.raw`{"\u009bkey":"\u202e\u007f\u0085\u2028 报告"}`);
    expect(JSON.parse(json)).toEqual(value);
  });

  it("has a first line that says something", () => {
    expect(firstLine("\n  Error: a\n  at b")).toBe("Error: a");
    expect(firstLine("")).toBe("");
  });
});

describe("width", () => {
  it.each([
    ["plain", 5],
    ["é", 1],
    ["e\u0301", 1],
    ["报告", 4],
    ["ｱｶ", 2],
    ["Ａ", 2],
    ["한국", 4],
    ["😀", 2],
    ["👩‍👩‍👧", 2],
    ["🇨🇭", 2],
    ["❤️", 2],
    ["❤", 1],
    ["1️⃣", 2],
    ["123#*", 5],
    ["\u200B", 0],
  ])("of %j is %i", (text, width) => expect(widthOf(text)).toBe(width));

  it.each([
    ["abcdef", 6, "abcdef"],
    ["abcdef", 5, "abcd…"],
    ["报告生成", 5, "报告…"],
    ["报告生成", 4, "报…"],
    ["a👩‍👩‍👧b", 3, "a…"],
  ])("%j cut to %i is %j", (text, width, shown) => expect(cut(text, width)).toBe(shown));

  it("breaks lines at spaces, and words that are wider", () => {
    expect(wrap("one two three", 8)).toEqual(["one two", "three"]);
    expect(wrap("abcdefghij", 4)).toEqual(["abcd", "efgh", "ij"]);
    expect(wrap("报告生成 报告", 5)).toEqual(["报告", "生成", "报告"]);
    expect(wrap("a\nb", 10)).toEqual(["a", "b"]);
  });
});

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseJson } from "../../src/cli/json-text.js";
import { InvalidInputError } from "../../src/index.js";

function refusal(text: string): string {
  try {
    parseJson(text, "PAYLOAD");
  } catch (error) {
    if (error instanceof InvalidInputError) return error.message;
    throw error;
  }
  return "none";
}

describe("JSON that is wrong", () => {
  it.each([
    ["", "column 1: a value is expected here, but it ends."],
    ["hello", "column 1: a value is expected here."],
    ["{to:1}", "column 2: a name in double quotes is expected here."],
    ["{'to':1}", "column 2: a name in double quotes is expected here."],
    ['{"a":1,}', "column 8: a name in double quotes is expected here."],
    ['{"a" 1}', 'column 6: ":" is expected here.'],
    ['{"a":1 "b"}', 'column 8: "," or "}" is expected here.'],
    ["[1,2", 'column 5: "," or "]" is expected here, but it ends.'],
    ["[1,]", "column 4: a value is expected here."],
    ["truely", "column 1: a value is expected here."],
    ["01", "column 2: something stands behind the end of the JSON."],
    ["{} {}", "column 4: something stands behind the end of the JSON."],
    ['"abc', "column 5: a text has no closing quote."],
    ['"a\tb"', "column 3: a line break, tab or other control character inside a text"],
    [String.raw`"a\x"`, "column 3: there is no such escape in JSON."],
    ['{\n  "a": 1,\n  "报": x\n}', "line 3, column 8: a value is expected here."],
    ['"😀" x', "column 5: something stands behind"],
  ])("%j: %s", (text, says) => expect(refusal(text)).toContain(`PAYLOAD, ${says}`));

  it("never shows what stands there", () => {
    expect(refusal('{"password": hunter22}')).not.toContain("hunter");
  });

  it("is found at some place whenever JSON.parse refuses, and never else", () => {
    const pieces = fc.constantFrom(..."{}[]:,\"\\ \n-+.eE019truefalsn'a\u0001");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (chars) => {
        const text = chars.join("");
        let good = true;
        try {
          JSON.parse(text);
        } catch {
          good = false;
        }
        expect(refusal(text) === "none").toBe(good);
        if (!good) expect(refusal(text)).toMatch(/column \d+: (?!is no JSON)/);
      }),
      { numRuns: 5_000 },
    );
  });

  it("is anything nested too deep to look through", () => {
    const deep = "[".repeat(100_000);
    expect(refusal(deep)).toContain("nested deeper than 64");
  });
});

describe("JSON that is right", () => {
  it("means what JSON.parse says", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(JSON.stringify(parseJson(text, "PAYLOAD"))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  it("loses no figure: whole numbers that would change are refused", () => {
    expect(parseJson("9007199254740991", "PAYLOAD")).toBe(9_007_199_254_740_991);
    expect(parseJson("-73541093574234100", "PAYLOAD")).toBe(-73_541_093_574_234_100);
    expect(refusal("9".repeat(400))).toContain("a number too large");
    expect(parseJson("1000000000000000000000", "PAYLOAD")).toBe(1e21);
    expect(parseJson('"12345678901234567890"', "PAYLOAD")).toBe("12345678901234567890");
    expect(parseJson("0.1234567890123456789", "PAYLOAD")).toBe(0.123_456_789_012_345_68);
    expect(refusal('{"id": 12345678901234567890}')).toContain(
      "column 8: a number too large to be kept exactly",
    );
  });
});

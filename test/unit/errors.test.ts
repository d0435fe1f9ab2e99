import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import {
  DatabaseError,
  ERROR_CODES,
  InvalidInputError,
  JobError,
  QudoError,
  SessionLostError,
} from "../../src/core/errors.js";
import { parseModule, readSource, walk, type Module } from "./support/source.js";

/** Codes that nothing gives yet, each with the reason for which it may stand in ERROR_CODES all the same. */
const RESERVED: Readonly<Record<string, string>> = {};

const known = Object.keys(ERROR_CODES);
const source = readSource();

/** The codes that a module gives to errors: all that it names but those it only compares with. */
function codesGiven({ tree }: Module): string[] {
  const codes: string[] = [];
  walk(tree, (node) => {
    if (ts.isStringLiteralLike(node) && isCode(node.text) && !isAsked(node.parent))
      codes.push(node.text);
  });
  return codes;
}

const isCode = (text: string): boolean => /^QUDO_[A-Z_]+$/.test(text);

const EQUALITY: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken,
]);

/** `code === "…"`, `case "…":`, a type, and environment variables, which have the same look. */
function isAsked(parent: ts.Node): boolean {
  return (
    (ts.isBinaryExpression(parent) && EQUALITY.has(parent.operatorToken.kind)) ||
    ts.isCaseClause(parent) ||
    ts.isLiteralTypeNode(parent) ||
    ts.isElementAccessExpression(parent) ||
    (ts.isCallExpression(parent) && parent.expression.getText().endsWith(".env"))
  );
}

/** The conformance suite names the codes that it expects of others. */
const isSuite = ({ path }: Module): boolean => path.startsWith("testing/conformance/");

describe("the source", () => {
  const given = new Set(source.filter((module) => !isSuite(module)).flatMap(codesGiven));

  it("gives no code that ERROR_CODES does not list", () => {
    const all = source.flatMap(codesGiven);
    expect(all.length).toBeGreaterThan(20);
    expect(all.filter((code) => !known.includes(code))).toEqual([]);
  });

  it("gives every code that ERROR_CODES lists, but for those reserved", () => {
    expect(known.filter((code) => !given.has(code))).toEqual(Object.keys(RESERVED));
  });

  it("is read for codes that are given, not for those that are compared with", () => {
    const text = `
      throw new E("QUDO_A"); f(x ? "QUDO_B" : "y"); const rules = { code: "QUDO_C" }; code ??= "QUDO_D";
      if (error.code === "QUDO_NO" || "QUDO_NO" !== code) {} switch (code) { case "QUDO_NO": }
      let type: "QUDO_NO"; option.env("QUDO_NO"); process.env["QUDO_NO"];
      // "QUDO_NO"
    `;
    expect(codesGiven(parseModule("a.ts", text))).toEqual(["QUDO_A", "QUDO_B", "QUDO_C", "QUDO_D"]);
  });
});

/** Codes that a test expects of the product. One that a test makes itself (`new DatabaseError("…")`) shows nothing. */
function codesExpected(module: Module): string[] {
  const codes: string[] = [];
  walk(module.tree, (node) => {
    if (!ts.isStringLiteralLike(node)) return;
    const isMade = ts.isNewExpression(node.parent) && node.parent.arguments?.[0] === node;
    // Also within a longer text: what is kept of an error names its code.
    if (!isMade) codes.push(...(node.text.match(/QUDO_[A-Z_]+/g) ?? []));
  });
  return codes;
}

describe("the tests", () => {
  it("provoke every code", () => {
    const files = readdirSync("test", { recursive: true, encoding: "utf8" });
    const expected = new Set(
      files
        .filter((path) => path.endsWith(".test.ts") && !path.endsWith("unit/errors.test.ts"))
        .flatMap((path) => codesExpected(parseModule(path, readFileSync(`test/${path}`, "utf8")))),
    );
    expect(known.filter((code) => !expected.has(code))).toEqual([]);
  });

  it("are read for codes that they expect, not for those that they make", () => {
    const text = `expect(e).toMatchObject({ code: "QUDO_A" }); new DatabaseError("QUDO_NO", "m");
      expect(error).toContain("[QUDO_B]"); // QUDO_NO`;
    expect(codesExpected(parseModule("a.ts", text))).toEqual(["QUDO_A", "QUDO_B"]);
  });
});

describe("docs/errors.md", () => {
  const docs = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const pages = docs.split(/^### /m).slice(1);

  it("has a heading for every code of ERROR_CODES, once, in its order", () => {
    expect(pages.map((page) => page.split("\n")[0])).toEqual(known);
  });

  it("says of each what it means and what to do", () => {
    for (const page of pages)
      expect(page).toMatch(/^QUDO_[A-Z_]+\n[A-Z].*\n(?:.*\n)*What to do: \w/);
  });

  it("names no code in its texts that does not exist", () => {
    for (const [code] of docs.matchAll(/QUDO_[A-Z_]+/g)) expect(known).toContain(code);
  });
});

describe("the classes", () => {
  const cause = new Error("why");
  const all = [
    new QudoError("QUDO_CLOSED", "m", { cause }),
    new InvalidInputError("QUDO_INVALID_ID", "m", { cause }),
    new DatabaseError("QUDO_DATABASE_BUSY", "m", true, { cause }),
    new JobError("QUDO_JOB_TIMEOUT", "m", { cause }),
  ];

  it("are all Errors and QudoErrors, with code, message, cause and their own name", () => {
    for (const error of all) {
      expect(error).toBeInstanceOf(QudoError);
      expect(error).toMatchObject({ message: "m", cause });
      expect(known).toContain(error.code);
      expect(error.stack).toContain("errors.test");
    }
    expect(all.map(({ name }) => name)).toEqual([
      "QudoError",
      "InvalidInputError",
      "DatabaseError",
      "JobError",
    ]);
  });

  it("tell a transient error of the database from a lasting one", () => {
    expect(new DatabaseError("QUDO_DATABASE_BUSY", "m", true).transient).toBe(true);
    expect(new DatabaseError("QUDO_DATABASE_FULL", "m", false).transient).toBe(false);
  });

  it("name the session that was lost", () => {
    const error = new SessionLostError("0190-session");
    expect(error).toMatchObject({ name: "SessionLostError", code: "QUDO_SESSION_LOST" });
    expect(error.message).toContain("0190-session");
  });
});

import { pathToFileURL } from "node:url";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { kindOf, sqlitePath } from "../../src/storage/url.js";
import { refusal, UNSHOWABLE } from "./support/refusal.js";

describe("the path of an address", () => {
  it.each([
    ["sqlite:jobs.db", "jobs.db"],
    ["sqlite:./a b/ü.db", "./a b/ü.db"],
    ["sqlite:/var/lib/app/jobs.db", "/var/lib/app/jobs.db"],
    ["sqlite::memory:", ":memory:"],
    // Without slashes nothing is decoded: a file may be named so.
    ["sqlite:100%25.db", "100%25.db"],
    ["sqlite:100%.db", "100%.db"],
    ["sqlite:C:\\data\\jobs.db", "C:\\data\\jobs.db"],
    ["sqlite:C:/data/jobs.db", "C:/data/jobs.db"],
    ["sqlite:\\\\server\\share\\jobs.db", "\\\\server\\share\\jobs.db"],
    ["sqlite://jobs.db", "jobs.db"],
    ["sqlite:///var/lib/my%20app/%C3%BC.db", "/var/lib/my app/ü.db"],
    ["sqlite:///a+b?c#d.db", "/a+b?c#d.db"],
    ["sqlite://C:/data/jobs.db", "C:/data/jobs.db"],
    ["sqlite:////server/share/jobs.db", "//server/share/jobs.db"],
  ])("%s is the same on every system", (url, path) => {
    expect([sqlitePath(url, false), sqlitePath(url, true)]).toEqual([path, path]);
  });

  it("begins with the drive on Windows, where it stands behind the third slash", () => {
    expect(sqlitePath("sqlite:///C:/my%20data/jobs.db", true)).toBe("C:/my data/jobs.db");
    expect(sqlitePath("sqlite:///c%3A/jobs.db", true)).toBe("c:/jobs.db");
    expect(sqlitePath("sqlite:///var/jobs.db", true)).toBe("/var/jobs.db");
  });

  it("is a folder like others elsewhere", () => {
    expect(sqlitePath("sqlite:///C:/jobs.db", false)).toBe("/C:/jobs.db");
  });

  it("is that of a file: URL with the other name, as the docs say", () => {
    for (const path of ["/d/100%.db", "/d/my jobs#1.db", "/d/ü.db"])
      expect(sqlitePath(pathToFileURL(path).href.replace("file:", "sqlite:"), false)).toBe(path);
  });

  it("comes back whatever it was, when it was encoded", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (name) => {
        fc.pre(!name.includes("\0") && name.isWellFormed());
        expect(sqlitePath(`sqlite:///d/${encodeURIComponent(name)}`, false)).toBe(`/d/${name}`);
        expect(sqlitePath(`sqlite:./${name}`, false)).toBe(`./${name}`);
      }),
    );
  });
});

describe("the kind of an address", () => {
  it.each([
    ["sqlite:jobs.db", "sqlite"],
    ["postgres://h/d", "postgres"],
    ["postgresql://h/d", "postgres"],
    ["PostgreSQL://h/d", "postgres"],
    ["mysql://h/d", "mysql"],
    ["mariadb://h/d", "mysql"],
    // Its parser says what is missing.
    ["postgres:h/d", "postgres"],
  ])("%s", (url, kind) => expect(kindOf(url)).toBe(kind));

  it.each([
    ["another kind", "redis://user:secret@host/db", '"redis:" is not supported'],
    ["one that begins like another", "postgres2://host/db", '"postgres2:" is not supported'],
    ["a bare path", "jobs.db", "The database address is not supported"],
    ["no scheme, but a host", "user:secret@host:5432/db", '"user:" is not supported'],
    ["nothing", undefined, "The database address is not supported"],
    ["a number", 5, "The database address is not supported"],
    ["an address that is no text", new URL("postgres://user:secret@host/db"), "not supported"],
    ["what cannot be shown", UNSHOWABLE, "The database address is not supported"],
  ])("is known of no %s", (_, url, words) => {
    const { code, message } = refusal(() => kindOf(url));
    expect(code).toBe("QUDO_INVALID_URL");
    expect(message).toContain(words);
    for (const example of ['"sqlite:jobs.db"', '"postgres://', '"mysql://'])
      expect(message).toContain(example);
    expect(message).not.toContain("secret");
  });
});

describe("what is no address", () => {
  it.each([
    ["another kind", "redis://user:secret@host/db", '"redis:" is not supported'],
    ["a bare path", "jobs.db", "The database address is not supported"],
    ["nothing", undefined, "The database address is not supported"],
    ["a number", 5, "The database address is not supported"],
    ["what cannot be shown", UNSHOWABLE, "The database address is not supported"],
    ["no path", "sqlite:", "no path that a file can have"],
    ["slashes alone", "sqlite://", "no path that a file can have"],
    ["a NUL", "sqlite:a\0b.db", "no path that a file can have"],
    ["an encoded NUL", "sqlite://a%00b.db", "no path that a file can have"],
    ["a stray per cent", "sqlite:///100%.db", '"%25" for the sign itself'],
    ["a byte that is no UTF-8", "sqlite:///%ff.db", '"%25" for the sign itself'],
    ["an address of SQLite's own", "sqlite:file:jobs.db?mode=ro", 'leave out "file:"'],
    ["the same, encoded", "sqlite://FILE%3Ajobs.db", 'leave out "file:"'],
  ])("%s", (_, url, words) => {
    const { code, message } = refusal(() => sqlitePath(url));
    expect(code).toBe("QUDO_INVALID_URL");
    expect(message).toContain(words);
    expect(message).toContain('"sqlite:jobs.db"');
    expect(message).not.toContain("secret");
  });
});

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkPaths, maskText, REDACTED, redactPayload, secretsOf } from "../../src/core/redact.js";
import { refusal } from "./support/refusal.js";

const shown = (value: unknown, ...paths: string[]): unknown => redactPayload(value, paths);

describe("paths", () => {
  it("hide what stands there, whatever it is", () => {
    const payload = { card: { number: 4111, holder: "Ada" }, flags: [true, null] };
    expect(shown(payload, "card.number", "flags.0", "flags.1")).toEqual({
      card: { number: REDACTED, holder: "Ada" },
      flags: [REDACTED, REDACTED],
    });
    expect(shown(payload, "card")).toEqual({ card: REDACTED, flags: [true, null] });
  });

  it("take * for any one name or place", () => {
    const payload = { users: [{ mail: "a@b" }, { mail: "c@d", age: 5 }], more: { x: { mail: 1 } } };
    expect(shown(payload, "users.*.mail", "more.*.mail")).toEqual({
      users: [{ mail: REDACTED }, { mail: REDACTED, age: 5 }],
      more: { x: { mail: REDACTED } },
    });
  });

  it("that lead nowhere hide nothing", () => {
    const payload = { a: { b: "text" }, list: ["text"] };
    for (const path of ["b", "a.b.c", "a.c", "list.1", "list.0.x", "*.*.*", "A.b"])
      expect(shown(payload, path)).toEqual(payload);
  });

  const BAD: unknown[] = ["x", ["x", 5], [""], ["a..b"], ["\0"], ["x".repeat(300)], null, {}];

  it.each(BAD.map((paths) => ({ paths })))("refuses $paths", ({ paths }) => {
    const { code, message } = refusal(() => checkPaths(paths));
    expect(code).toBe("QUDO_INVALID_OPTION");
    expect(message).toContain("users.*.email");
  });
});

describe("names", () => {
  it.each([
    "password",
    "Password",
    "PASSWORD",
    "userPassword",
    "user_password",
    "passwd",
    "password2",
    "passwordHash",
    "token",
    "accessToken",
    "access_token",
    "ACCESS-TOKEN",
    "authToken",
    "apiKey",
    "api_key",
    "APIKey",
    "X-Api-Key",
    "apikey",
    "STRIPE_SECRET_KEY",
    "clientSecret",
    "privateKey",
    "private_key_pem",
    "Authorization",
    "proxy-authorization",
    "Set-Cookie",
    "cookies",
    "credentials",
    "aws.secretAccessKey",
  ])("%s looks secret", (key) => {
    expect(redactPayload({ [key]: "hunter2" }, null)).toEqual({ [key]: REDACTED });
    expect(redactPayload({ a: [{ [key]: { x: "hunter2" } }] }, null)).toEqual({
      a: [{ [key]: REDACTED }],
    });
  });

  it.each([
    "tokens_used",
    "tokenCount",
    "token_type",
    "passwordChangedAt",
    "secretary",
    "keyboard",
    "key",
    "monkey",
    "cookieConsent",
    "author",
    "tokenizer",
    "name",
    "",
    "2",
  ])("%s does not", (key) => {
    expect(redactPayload({ [key]: "hunter2" }, null)).toEqual({ [key]: "hunter2" });
  });

  it("hide no yes or no, and no number under a plural", () => {
    const payload = { password: true, token: null, tokens: 512, max_tokens: 5 };
    expect(redactPayload(payload, null)).toEqual(payload);
    expect(redactPayload({ password: 123456, tokens: ["abcd"] }, null)).toEqual({
      password: REDACTED,
      tokens: REDACTED,
    });
  });
});

describe("a copy", () => {
  it("is made of everything else, and the payload stays as it is", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const before = JSON.stringify(value);
        const copy = redactPayload(value, ["no.such.path"]);
        expect(JSON.stringify(value)).toBe(before);
        // With nothing to hide it is the same.
        if (!before.includes("a")) expect(copy).toEqual(value);
      }),
    );
  });

  it("keeps names that would do something if they were assigned", () => {
    const payload = JSON.parse('{"__proto__":{"polluted":1},"constructor":"x"}') as object;
    const copy = redactPayload(payload, ["a"]) as object;
    expect(JSON.stringify(copy)).toBe(JSON.stringify(payload));
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
  });

  it("holds no secret that was found", () => {
    const key = fc.constantFrom("password", "token", "a", "b", "apiKey");
    const text = fc.string({ minLength: 6, maxLength: 8 });
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: "small" },
        text,
        fc.dictionary(key, tie("node")),
        fc.array(tie("node")),
      ),
    })).node;
    fc.assert(
      fc.property(tree, (payload) => {
        const secrets = secretsOf(payload, ["a.*", "b"]);
        const rest = texts(redactPayload(payload, ["a.*", "b"]));
        const open = texts(payload).filter((one) => !secrets.includes(one));
        // What is shown is what is not secret, and everything that is not is still there.
        expect(new Set(rest.filter((one) => one !== REDACTED && !secrets.includes(one)))).toEqual(
          new Set(open),
        );
      }),
    );
  });
});

function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(texts) : [];
}

describe("secrets", () => {
  it("are the texts that are hidden, from four characters on", () => {
    const payload = {
      password: "hunter2",
      token: { deep: ["abcd", "abc", 12345] },
      name: "Ada",
      mail: "ada@example.org",
      again: { password: "hunter2" },
    };
    expect(secretsOf(payload, ["mail"]).toSorted()).toEqual(["abcd", "ada@example.org", "hunter2"]);
    expect(secretsOf("text", ["a"])).toEqual([]);
  });

  it("of a header are also known without its scheme", () => {
    expect(secretsOf({ headers: { Authorization: "Bearer abcdef" } }, null)).toEqual([
      "Bearer abcdef",
      "abcdef",
    ]);
  });
});

describe("a text", () => {
  it("loses every secret, also as JSON and in an address", () => {
    const secrets = ['a"b\nc', "p&q=r"];
    expect(maskText(`Error: ${secrets[0]} and ${JSON.stringify(secrets[0])}`, secrets)).toBe(
      `Error: ${REDACTED} and "${REDACTED}"`,
    );
    expect(maskText(`GET /?x=${encodeURIComponent("p&q=r")}`, secrets)).toBe(`GET /?x=${REDACTED}`);
  });

  it("loses both of two that overlap, and a longer one whole", () => {
    expect(maskText("x abcdefghi y", ["abcdef", "defghi"])).toBe(`x ${REDACTED} y`);
    expect(maskText("secretsecret1", ["secret", "secret1"])).toBe(REDACTED);
  });

  it("is the same without any", () => {
    expect(maskText("nothing to hide", [])).toBe("nothing to hide");
    expect(maskText("abc", ["abc"])).toBe("abc");
  });

  it("holds none of them afterwards, and all the rest", () => {
    const letters = fc.constantFrom(..."xyz");
    const word = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
      fc.string({ unit: letters, minLength, maxLength });
    fc.assert(
      fc.property(fc.array(word(0, 12)), fc.array(word(4, 6)), (parts, secrets) => {
        const text = parts.map((part, i) => part + (secrets[i] ?? "")).join(" ");
        const masked = maskText(text, secrets);
        for (const secret of secrets) expect(masked).not.toContain(secret);
        // Letter by letter: what is left stood there, in order.
        let at = 0;
        for (const letter of masked.replaceAll(REDACTED, "")) {
          at = text.indexOf(letter, at) + 1;
          expect(at).toBeGreaterThan(0);
        }
      }),
    );
  });
});

import { describe, expect, expectTypeOf, it } from "vitest";
import { fixed } from "../../src/core/backoff.js";
import {
  defineJob,
  registry,
  type AnyJobDefinition,
  type JobDefinition,
} from "../../src/core/job.js";
import type { StandardSchema } from "../../src/core/schema.js";
import { snooze } from "../../src/core/snooze.js";
import { refusal } from "./support/refusal.js";

const run = (): void => {};
const schema: StandardSchema<{ url: string }, { url: URL }> = {
  "~standard": { version: 1, vendor: "test", validate: () => ({ value: { url: new URL("x:") } }) },
};

/** What a program without types may pass. */
const define = (options: unknown): AnyJobDefinition =>
  defineJob("kind", options as { run: () => void });

describe("defineJob", () => {
  it("fills in the documented defaults", () => {
    const job = defineJob("mail", { run });
    expect(job).toMatchObject({
      kind: "mail",
      queue: "default",
      maxAttempts: 6,
      priority: 0,
      timeoutMs: null,
      schema: null,
      run,
    });
    const failed = { id: "", kind: "mail", queue: "default", payload: null, error: null };
    expect([1, 2, 6].map((fails) => job.backoff(fails, 0, failed))).toEqual([
      60_000, 120_000, 600_000,
    ]);
  });

  it("keeps what it is given", () => {
    const backoff = fixed("5s");
    const options = { payload: schema, queue: "q", maxAttempts: -1, priority: -5, backoff, run };
    expect(defineJob("mail", { ...options, timeout: "2m" })).toMatchObject({
      queue: "q",
      maxAttempts: -1,
      priority: -5,
      backoff,
      timeoutMs: 120_000,
      schema,
    });
  });

  it("lets the payload's type flow from the schema to the handler and to enqueue", () => {
    const job = defineJob("mail", {
      payload: schema,
      run: (payload) => {
        expectTypeOf(payload).toEqualTypeOf<{ url: URL }>();
        return 5;
      },
    });
    expectTypeOf(job).toEqualTypeOf<JobDefinition<{ url: string }, { url: URL }, number>>();
    expect(job.schema).toBe(schema);
  });

  it("takes the payload's type from the handler when there is no schema", () => {
    const job = defineJob("mail", { run: (payload: { to: string }) => payload.to });
    expectTypeOf(job).toEqualTypeOf<JobDefinition<{ to: string }, { to: string }, string>>();
    expect(job.schema).toBeNull();
  });

  it("copies the paths to be hidden", () => {
    const redact = ["card.number"];
    const job = defineJob("pay", { redact, run });
    redact.push("x");
    expect(job.redact).toEqual(["card.number"]);
    expect(defineJob("mail", { run }).redact).toBeNull();
  });

  it("knows results that are no snooze", () => {
    const job = defineJob("waits", {
      run: async (payload: { n: number }) => (payload.n > 1 ? snooze("5m") : payload.n),
    });
    expectTypeOf(job).toEqualTypeOf<JobDefinition<{ n: number }, { n: number }, number>>();
  });

  it("gives something that nobody can change", () => {
    expect(Object.isFrozen(defineJob("mail", { run }))).toBe(true);
  });

  it("takes a schema that is a function, as some libraries make them", () => {
    const callable = Object.assign(() => true, schema);
    expect(defineJob("mail", { payload: callable, run }).schema).toBe(callable);
  });

  const BAD: [string, unknown, string, string][] = [
    ["no options", undefined, "QUDO_INVALID_OPTION", "run: a function"],
    ["no run", {}, "QUDO_INVALID_OPTION", "run: a function"],
    ["a run that is none", { run: "x" }, "QUDO_INVALID_OPTION", "run: a function"],
    ["an unknown option", { run, retries: 5 }, "QUDO_UNKNOWN_OPTION", "maxAttempts"],
    ["an empty queue", { run, queue: "" }, "QUDO_INVALID_NAME", "queue"],
    ["no attempts", { run, maxAttempts: 0 }, "QUDO_INVALID_OPTION", "maxAttempts"],
    ["a high priority", { run, priority: 1e5 }, "QUDO_INVALID_OPTION", "priority"],
    ["a bad time-out", { run, timeout: "soon" }, "QUDO_INVALID_DURATION", "timeout"],
    ["a backoff that is none", { run, backoff: "5s" }, "QUDO_INVALID_OPTION", "backoff: a fun"],
    ["redact that is no list", { run, redact: "card" }, "QUDO_INVALID_OPTION", "redact"],
    ["a path that is none", { run, redact: ["a..b"] }, "QUDO_INVALID_OPTION", '"a..b"'],
    ["a schema that is none", { run, payload: {} }, "QUDO_INVALID_OPTION", "Standard Schema"],
    ["a schema that is null", { run, payload: null }, "QUDO_INVALID_OPTION", "Standard Schema"],
  ];

  it.each(BAD)("refuses %s", (_, options, code, words) => {
    const refused = refusal(() => define(options));
    expect(refused.code).toBe(code);
    expect(refused.message).toContain(words);
  });

  it("refuses a kind that is no name", () => {
    for (const kind of ["", "a\nb", "x".repeat(129), 5 as unknown as string])
      expect(refusal(() => defineJob(kind, { run })).message).toMatch(/^job kind /);
  });
});

describe("a registry", () => {
  const mail = defineJob("mail", { run });
  const constructorJob = defineJob("constructor", { run });

  it("finds what was registered", () => {
    expect(registry([mail, constructorJob]).get("mail")).toBe(mail);
    expect(registry([mail, constructorJob]).get("constructor")).toBe(constructorJob);
  });

  it("finds nothing under names that every object has", () => {
    for (const kind of ["constructor", "__proto__", "toString", "hasOwnProperty"])
      expect(registry([mail]).get(kind)).toBeUndefined();
  });

  it("refuses two different jobs of one name", () => {
    const { code, message } = refusal(() => registry([mail, defineJob("mail", { run })]));
    expect(code).toBe("QUDO_DUPLICATE_KIND");
    expect(message).toContain('"mail"');
  });

  it("refuses what defineJob did not make, and what is no list", () => {
    for (const bad of [undefined, null, {}, "mail", { kind: "mail", run }])
      expect(refusal(() => registry([mail, bad as unknown as typeof mail])).code).toBe(
        "QUDO_INVALID_OPTION",
      );
    for (const bad of [null, "mail", { mail }, 5])
      expect(refusal(() => registry(bad as unknown as [])).message).toContain("defineJob");
  });

  it("takes the same job twice", () => {
    expect(registry([mail, mail]).size).toBe(1);
  });
});

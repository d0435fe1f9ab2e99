/** Handlers apart, as far as no thread is needed: what crosses, what is found in a module, and that it costs nothing unused. */
import { describe, expect, it } from "vitest";
import { definitionsIn } from "../../src/core/exported.js";
import { encodeError } from "../../src/core/codec.js";
import { InvalidInputError } from "../../src/core/errors.js";
import { defineJob, registry } from "../../src/core/job.js";
import { Apart } from "../../src/worker/isolate/apart.js";
import { HostedRun } from "../../src/worker/isolate/context.js";
import {
  packThrown,
  unpackThrown,
  type FromHost,
  type PlainContext,
} from "../../src/worker/isolate/wire.js";
import { addressOf } from "../../src/worker/prefork/options.js";
import { workerSettings } from "../../src/worker/options.js";

const crossed = (thrown: unknown): unknown => unpackThrown(structuredClone(packThrown(thrown)));

describe("what is thrown", () => {
  it("is kept of an error as it would be here", () => {
    const errors = [
      new Error("plain"),
      Object.assign(new RangeError("with a code"), { code: "E_RANGE" }),
      new InvalidInputError("QUDO_INVALID_PAYLOAD", "refused"),
      Object.assign(new Error("without a stack"), { stack: undefined }),
    ];
    for (const error of errors) {
      expect(encodeError(crossed(error))).toBe(encodeError(error));
      expect(Object.keys(crossed(error) as object)).toEqual([]);
    }
  });

  it("crosses as it is where it is no error, and as text where it cannot", () => {
    for (const value of ["text", 17, null, undefined, { a: [1n] }])
      expect(crossed(value)).toEqual(value);
    expect(crossed(Symbol("s"))).toBe("Symbol(s)");
    expect(crossed(() => 1)).toBe("() => 1");
    const unreadable = new Proxy(
      {},
      {
        get: () => {
          throw new Error("no");
        },
      },
    );
    expect(typeof crossed(unreadable)).toBe("string");
  });
});

const job: PlainContext = {
  id: "1",
  kind: "k",
  queue: "q",
  database: null,
  attempt: 2,
  run: 3,
  maxAttempts: 2,
  priority: 0,
  payloadOrigin: "{}",
  elapsedMs: 5,
};

function hosted(): { run: HostedRun; said: FromHost[] } {
  const said: FromHost[] = [];
  return { run: new HostedRun(job, null, (message) => said.push(message)), said };
}

describe("a hosted run", () => {
  it("takes the first word about its end, and tells what was decided", () => {
    const { run, said } = hosted();
    expect(run.outcome).toBeNull();
    expect(run.done({ a: 1 })).toBe(true);
    expect(run.outcome).toBe("done");
    expect([run.done(), run.fail("no")]).toEqual([false, false]);
    expect(said).toEqual([{ done: '{"a":1}' }]);
    const last = hosted();
    expect(last.run.fail("no")).toBe(true);
    expect(last.run.outcome).toBe("abandoned");
  });

  it("refuses what cannot be stored, and stays open", () => {
    const { run, said } = hosted();
    expect(() => run.done(() => 1)).toThrow(/function has no form in JSON/);
    expect(() => run.progress(1n)).toThrow(/bigint has no form in JSON/);
    expect(() => run.log("x", "loud" as never)).toThrow(/no level "loud"/);
    expect([said, run.outcome]).toEqual([[], null]);
  });

  it("is silent after its end", () => {
    const { run, said } = hosted();
    run.end();
    run.log("late");
    run.progress(1);
    run.quit();
    expect(run.done()).toBe(false);
    expect(said).toEqual([]);
  });

  it("aborts its signal with the reason that its worker gave", () => {
    const { run } = hosted();
    run.interrupt(packThrown(Object.assign(new Error("time is up"), { code: "QUDO_JOB_TIMEOUT" })));
    expect(run.signal.reason).toMatchObject({
      name: "JobError",
      code: "QUDO_JOB_TIMEOUT",
      message: "time is up",
    });
  });
});

it("a worker without handlers apart is given the very same settings", async () => {
  const jobs = registry([defineJob("a", { run: () => 1 }), defineJob("b", { run: () => 2 })]);
  const settings = workerSettings({}, jobs);
  expect(await new Apart(jobs).served(settings)).toBe(settings);
});

it("definitions are found wherever a module exports them", () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((kind) => defineJob(kind, { run: () => 1 }));
  const module = { a, list: [b, 17, null], default: { c, d, e: "no" }, other: { kind: "no" } };
  expect(definitionsIn(module)).toEqual([a, b, c, d]);
});

it.each([
  [8080, "127.0.0.1", 8080],
  ["0", "127.0.0.1", 0],
  ["0.0.0.0:80", "0.0.0.0", 80],
  ["[::1]:9090", "::1", 9090],
  ["localhost:1", "localhost", 1],
])("health %j is %s and %i", (given, host, port) => {
  expect(addressOf(given)).toEqual({ host, port });
});

it.each(["", "host", "host:", ":80", "::1:80", "70000", -1, 1.5, "a b:1", "http://x:1"])(
  "health %j is refused",
  (given) => expect(() => addressOf(given)).toThrow(/health is/),
);

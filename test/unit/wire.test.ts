import { describe, expect, test } from "vitest";
import * as errors from "../../src/core/errors.js";
import { packError, unpackError } from "../../src/storage/thread/wire.js";

const { DatabaseError, QudoError } = errors;
const cross = (thrown: unknown): Error => unpackError(structuredClone(packError(thrown)));

/** Made by who waits for a result, by several databases together, or by a parent of processes: never by a driver of one. */
const above: ReadonlySet<unknown> = new Set([
  errors.JobFailedError,
  errors.EnqueueOutcomeUnknownError,
  errors.EnqueuePartlyError,
  errors.IncompleteError,
  errors.ChildFailedError,
]);
const classes = Object.values(errors).filter(
  (one): one is typeof QudoError =>
    typeof one === "function" && one.prototype instanceof Error && !above.has(one),
);

describe("errors between threads", () => {
  test.each(classes.map((one) => [one.name, one] as const))("%s stays one", (name, One) => {
    const thrown = new One("QUDO_CLOSED", "It was closed." as never, {} as never);
    const arrived = cross(thrown);
    expect(arrived).toBeInstanceOf(One);
    expect(arrived.constructor).toBe(One);
    const { code, message, stack } = thrown;
    expect(arrived).toMatchObject({ name, code, message, stack });
  });

  test("a DatabaseError says whether it may pass, and its cause as text", () => {
    for (const transient of [true, false]) {
      const cause = new RangeError("below");
      const thrown = new DatabaseError("QUDO_DATABASE_FULL", "No room.", transient, { cause });
      expect(cross(thrown)).toMatchObject({ transient, cause: "RangeError: below" });
    }
  });

  test("a DatabaseError says whether it may have happened all the same", () => {
    const thrown = new DatabaseError("QUDO_DATABASE_FAILED", "Died.", true, {
      happened: "perhaps",
    });
    expect(cross(thrown)).toMatchObject({ happened: "perhaps" });
    expect(cross(new DatabaseError("QUDO_DATABASE_FULL", "No room.", true))).toMatchObject({
      happened: "no",
    });
  });

  test("others become plain errors, with their name, message and code", () => {
    const thrown = Object.assign(new TypeError("no function"), { code: "ERR_X", live: () => 1 });
    const arrived = cross(thrown);
    expect(arrived.constructor).toBe(Error);
    expect(arrived).toMatchObject({ name: "TypeError", message: "no function", code: "ERR_X" });
    expect("cause" in arrived).toBe(false);
    expect(cross("a text").message).toBe("a text");
  });
});

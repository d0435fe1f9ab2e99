import { describe, expect, it } from "vitest";
import { InvalidInputError } from "../../src/core/errors.js";
import {
  isStandardSchema,
  validate,
  type SchemaIssue,
  type SchemaResult,
  type StandardSchema,
} from "../../src/core/schema.js";

type Answer = SchemaResult<unknown> | Promise<SchemaResult<unknown>>;

const schema = (answer: (value: unknown) => Answer): StandardSchema<unknown, unknown> => ({
  "~standard": { version: 1, vendor: "test", validate: answer },
});

async function messageOf(...issues: SchemaIssue[]): Promise<string> {
  const refused: unknown = await validate(
    schema(() => ({ issues })),
    {},
    'enqueue("mail")',
  ).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(InvalidInputError);
  expect((refused as InvalidInputError).code).toBe("QUDO_INVALID_PAYLOAD");
  return (refused as InvalidInputError).message;
}

describe("a value that its schema accepts", () => {
  it("comes back as the schema made it", async () => {
    const doubled = schema((value) => ({ value: Number(value) * 2 }));
    expect(await validate(doubled, "5", "x")).toBe(10);
  });

  it("may be awaited", async () => {
    const later = schema(async (value) => {
      await Promise.resolve();
      return { value: [value] };
    });
    expect(await validate(later, 5, "x")).toEqual([5]);
  });
});

describe("a value that its schema refuses", () => {
  it("is named with each issue and its path", async () => {
    expect(
      await messageOf(
        { message: "Required", path: ["user", "tags", 0] },
        { message: "Too long", path: [{ key: "name" }] },
        { message: "Odd", path: [Symbol("s")] },
      ),
    ).toBe(
      'enqueue("mail"): payload.user.tags.0: Required; payload.name: Too long; payload.Symbol(s): Odd',
    );
  });

  it("may be wrong as a whole", async () => {
    expect(await messageOf({ message: "No object" })).toBe('enqueue("mail"): payload: No object');
    expect(await messageOf({ message: "No object", path: [] })).toContain("payload: No object");
  });

  it("is refused asynchronously too", async () => {
    const later = schema(() => Promise.resolve({ issues: [{ message: "late" }] }));
    await expect(validate(later, 5, "x")).rejects.toThrow("payload: late");
  });

  it("has its first five issues named", async () => {
    const message = await messageOf(
      ...Array.from({ length: 9 }, (_, i) => ({ message: `no ${i}` })),
    );
    expect(message.match(/no \d/g)).toEqual(["no 0", "no 1", "no 2", "no 3", "no 4"]);
  });

  it("is refused also when no issue is named", async () => {
    await messageOf();
  });
});

it("an error of the validator itself is passed on", async () => {
  const broken = schema(() => {
    throw new TypeError("broken schema");
  });
  await expect(validate(broken, 5, "x")).rejects.toThrow(TypeError);
});

it("a Standard Schema is told by its validate function", () => {
  const standard = schema((value) => ({ value }));
  expect(isStandardSchema(standard)).toBe(true);
  expect(isStandardSchema(Object.assign(() => 1, standard))).toBe(true);
  for (const other of [undefined, null, 5, "x", {}, () => 1, { "~standard": {} }])
    expect(isStandardSchema(other)).toBe(false);
});

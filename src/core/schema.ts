/**
 * The part of the Standard Schema interface (standardschema.dev, version 1) that is used here. Zod, Valibot,
 * ArkType and others satisfy it; none of them is needed.
 */
import { InvalidInputError } from "./errors.js";

/** A validator of any library that keeps the Standard Schema interface, version 1. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Whether a value can be asked to validate. Some libraries' schemas are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard = (value as Partial<StandardSchema>)["~standard"];
  return typeof standard?.validate === "function";
}

/**
 * The value as the schema returns it.
 * @throws InvalidInputError QUDO_INVALID_PAYLOAD naming each issue and its path.
 */
export async function validate<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  what: string,
): Promise<Output> {
  return validateNow(schema, value, what);
}

/** The same, at once where the schema answers at once. */
export function validateNow<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  what: string,
): Output | Promise<Output> {
  const result = schema["~standard"].validate(value);
  return "then" in result
    ? Promise.resolve(result).then((settled) => accepted(settled, what))
    : accepted(result, what);
}

function accepted<Output>(result: SchemaResult<Output>, what: string): Output {
  if (result.issues === undefined) return result.value;
  const issues = result.issues.slice(0, 5).map((issue) => `${place(issue)}: ${issue.message}`);
  throw new InvalidInputError("QUDO_INVALID_PAYLOAD", `${what}: ${issues.join("; ")}`);
}

function place(issue: SchemaIssue): string {
  const keys = (issue.path ?? []).map((p) => String(typeof p === "object" ? p.key : p));
  return ["payload", ...keys].join(".");
}

import { expect } from "vitest";
import { InvalidInputError, type ErrorCode } from "../../../src/core/errors.js";

/** What a call was refused with. Fails when it was not refused, or with an error that is not ours. */
export function refusal(call: () => unknown): { code: ErrorCode; message: string } {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidInputError);
    const { code, message } = error as InvalidInputError;
    return { code, message };
  }
  throw new Error("it was accepted");
}

/** A value that neither String() nor JSON.stringify can show. */
export const UNSHOWABLE: unknown = Object.create(null);

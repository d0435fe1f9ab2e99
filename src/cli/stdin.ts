/** What comes on stdin, as text. */
import { TextDecoder } from "node:util";
import { InvalidInputError } from "../core/errors.js";
import { say } from "./output.js";

/** Lines without their ends; the last one counts also where nothing ends it. @throws InvalidInputError when it is not UTF-8. */
export async function* stdinLines(what: string): AsyncGenerator<string> {
  if (process.stdin.isTTY === true) say(`reading ${what} from the terminal; Ctrl-D ends it`);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const chunk of process.stdin) {
    const lines = (rest + decoded(decoder, chunk as Buffer)).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  rest += decoded(decoder);
  if (rest !== "") yield rest;
}

/** All of it. */
export async function stdinText(what: string): Promise<string> {
  const lines: string[] = [];
  for await (const line of stdinLines(what)) lines.push(line);
  return lines.join("\n");
}

/** The words on it: ids, one to a line or several. */
export async function stdinWords(what: string): Promise<string[]> {
  const words: string[] = [];
  for await (const line of stdinLines(what)) words.push(...line.split(/\s+/).filter(Boolean));
  return words;
}

/** Bytes that are no text would silently become other ones. */
function decoded(decoder: TextDecoder, chunk?: Buffer): string {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
  } catch (cause) {
    throw new InvalidInputError("QUDO_INVALID_PAYLOAD", "stdin is not UTF-8.", { cause });
  }
}

/** The one kind of job of this example: read a file, hash it, count its lines and words. */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { defineJob, fixed } from "qudo";
import { join, pathBytes, type PathText } from "./paths.js";

export interface FilePayload {
  /** The folder that is indexed. */
  readonly root: PathText;
  /** The file, relative to it. */
  readonly path: PathText;
}

export interface FileFacts {
  readonly path: PathText;
  readonly sha256: string;
  readonly bytes: number;
  readonly lines: number;
  readonly words: number;
}

export const indexFile = defineJob("index-files.file", {
  maxAttempts: 3,
  backoff: fixed("200ms"),
  run: async ({ root, path }: FilePayload): Promise<FileFacts> => ({
    path,
    ...(await factsOf(join(pathBytes(root), pathBytes(path)))),
  }),
});

/** Not through a link, and without waiting for a pipe's other end, should the file have become one of these. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

async function factsOf(path: Buffer): Promise<Omit<FileFacts, "path">> {
  const file = await open(path, FLAGS);
  try {
    if (!(await file.stat()).isFile()) throw new Error("it is no regular file any more");
    return await read(file);
  } finally {
    await file.close();
  }
}

const CHUNK = 256 * 1024;
const spare: Buffer[] = [];

async function read(file: FileHandle): Promise<Omit<FileFacts, "path">> {
  const chunk = spare.pop() ?? Buffer.allocUnsafe(CHUNK);
  try {
    const hash = createHash("sha256");
    const text = new TextCounter();
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK);
      if (bytesRead === 0) break;
      const part = chunk.subarray(0, bytesRead);
      hash.update(part);
      text.add(part);
      bytes += bytesRead;
    }
    return { sha256: hash.digest("hex"), bytes, lines: text.lines, words: text.words };
  } finally {
    spare.push(chunk);
  }
}

/** Lines and words as `wc` counts them in the C locale: newlines, and runs of anything but white space. */
class TextCounter {
  lines = 0;
  words = 0;
  private inWord = false;

  add(part: Buffer): void {
    let { lines, words, inWord } = this;
    for (const byte of part) {
      const space = byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
      if (byte === 0x0a) lines++;
      if (!space && !inWord) words++;
      inWord = !space;
    }
    Object.assign(this, { lines, words, inWord });
  }
}

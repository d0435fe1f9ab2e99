/** All regular files below a folder, as bytes, relative to it. Symbolic links are not followed. */
import { opendir } from "node:fs/promises";
import { join } from "./paths.js";

export interface ScanEvents {
  /** A folder that cannot be listed is left out and told; it stops nothing. */
  unreadable(folder: Buffer, error: Error): void;
}

export async function* scan(root: Buffer, events: ScanEvents): AsyncGenerator<Buffer> {
  const folders: Buffer[] = [Buffer.alloc(0)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for await (const { name, isFile } of entries(join(root, folder))) {
        const path = join(folder, name);
        if (isFile) yield path;
        else folders.push(path);
      }
    } catch (error) {
      events.unreadable(folder, error as Error);
    }
  }
}

/** Files and folders of one folder; links, pipes, sockets and devices are passed over. */
async function* entries(folder: Buffer): AsyncGenerator<{ name: Buffer; isFile: boolean }> {
  // Node's types know names as text only; with encoding "buffer" they are bytes.
  const list = await opendir(folder as unknown as string, {
    encoding: "buffer" as "utf8",
    bufferSize: 256,
  });
  for await (const entry of list) {
    const name = entry.name as unknown as Buffer;
    if (entry.isFile()) yield { name, isFile: true };
    else if (entry.isDirectory()) yield { name, isFile: false };
  }
}

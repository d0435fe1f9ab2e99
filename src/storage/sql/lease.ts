/** What a lease row lists, for engines without arrays: records of 16 bytes id and 4 bytes run, one after the other. */
import { idBytes } from "../../core/ids.js";

const RECORD = 20;

export interface LeaseEntry {
  readonly id: Uint8Array;
  readonly run: number;
}

/** Bytes of an id as a short string: what a Map can look up. */
export function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("latin1");
}

export function encodeLease(entries: readonly LeaseEntry[]): Buffer {
  const blob = Buffer.allocUnsafe(RECORD * entries.length);
  entries.forEach((entry, i) => {
    blob.set(entry.id, RECORD * i);
    blob.writeInt32BE(entry.run, RECORD * i + 16);
  });
  return blob;
}

export function decodeLease(blob: Uint8Array): LeaseEntry[] {
  const view = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  return Array.from({ length: view.length / RECORD }, (_, i) => ({
    id: view.subarray(RECORD * i, RECORD * i + 16),
    run: view.readInt32BE(RECORD * i + 16),
  }));
}

/** The writer of events that no worker's session made: reaper, canceller, operator. */
export const NOBODY = idBytes("00000000-0000-0000-0000-000000000000");

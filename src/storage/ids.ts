/** New ids, for whoever talks to a driver: they are made before the database is asked, so that any call can be sent again. */
import { randomFillSync } from "node:crypto";
import { layoutV7 } from "../core/ids.js";

const POOL = Buffer.alloc(8 * 512);
let used = POOL.length;
let lastMs = 0;
let counter = 0;

/** A new UUIDv7: ids of one process grow, so that their rows lie together in the database. */
export function newId(): string {
  const now = Date.now();
  if (now > lastMs) {
    lastMs = now;
    counter = 0;
  } else if (++counter > 0x0fff) {
    // More than 4,096 in a millisecond, or the clock went back: borrow from the future, stay ordered.
    lastMs++;
    counter = 0;
  }
  if (used === POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  used += 8;
  return layoutV7(lastMs, counter, POOL.subarray(used - 8, used));
}

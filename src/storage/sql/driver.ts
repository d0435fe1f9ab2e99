/** A server's driver: the operations that all of them share, and the few things that an engine does by itself. */
import type { Driver } from "../driver.js";
import type { Engine } from "./engine.js";
import { looking } from "./looking.js";
import { working } from "./working.js";

/** What each engine brings. */
export type OwnParts = Pick<
  Driver,
  "label" | "capabilities" | "migrate" | "schemaVersion" | "ping" | "close" | "subscribe"
>;

export function serverDriver(engine: Engine, own: OwnParts): Driver {
  return { ...own, ...working(engine), ...looking(engine) };
}

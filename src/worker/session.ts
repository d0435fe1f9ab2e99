import { hostname } from "node:os";
import type { NewSession } from "../storage/driver.js";
import { VERSION } from "../core/version.js";
import { ownIdentity } from "./process.js";

/** How this process introduces itself to the database. */
export function newSession(id: string, name: string | null, kinds: readonly string[]): NewSession {
  const host = hostname();
  return {
    id,
    name: name ?? `${host}:${process.pid}`,
    host,
    pid: process.pid,
    process: ownIdentity(),
    kinds,
    version: VERSION,
  };
}

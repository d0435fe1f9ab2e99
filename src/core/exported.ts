/** The job definitions among what a module exports. */
import type { AnyJobDefinition } from "./job.js";

/** Other exports are left alone. */
export function definitionsIn(module: object): AnyJobDefinition[] {
  return exported(module).filter(isDefinition);
}

/** By name, as the default, alone or in arrays; also what a CommonJS module's object holds. */
export function exported(module: object): unknown[] {
  const values: unknown[] = Object.values(module).flat();
  const inside =
    "default" in module && isObject(module.default) ? Object.values(module.default) : [];
  return [...values, ...inside];
}

/** Told by its shape: the module may use another copy of qudo. */
function isDefinition(value: unknown): value is AnyJobDefinition {
  if (!isObject(value)) return false;
  const { kind, queue, run } = value;
  return typeof kind === "string" && typeof queue === "string" && typeof run === "function";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

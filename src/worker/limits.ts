/** What a worker says of limits when it starts. */
import type { Registry } from "../core/job.js";
import type { LimitSpec } from "../core/limits/spec.js";
import type { LimitDeclaration } from "../storage/driver.js";

/**
 * Of every kind that it knows, also that it has none: the limits of a kind stand in its definition, and nowhere else. Of queues only
 * what it was told: others may serve them as well.
 */
export function declarations(
  registry: Registry,
  queues: ReadonlyMap<string, LimitSpec | null>,
): LimitDeclaration[] {
  return [
    ...Array.from(registry.values(), ({ kind, limits }) => ({
      scope: "kind" as const,
      name: kind,
      spec: limits?.spec ?? null,
    })),
    ...Array.from(queues, ([name, spec]) => ({ scope: "queue" as const, name, spec })),
  ];
}

/** Declared limits as rows: one per kind or queue, and what the keys of a kind remember of their turns. */
import type { LimitSpec } from "../../core/limits/spec.js";
import type { LimitDeclaration, LimitScope } from "../driver.js";

/** Kinds before queues. */
export const SCOPES = { kind: 1, queue: 2 } as const satisfies Record<LimitScope, number>;

/** Nothing is limited, as is said of a kind whose limits were taken away. */
export const NO_SPEC = "";

export interface RuleName {
  readonly scope: number;
  readonly name: string;
}

export interface RuleRow extends RuleName {
  readonly spec: string;
}

/** Of a limit that was never declared, or taken away: null. A row that was damaged must not stop the claims of others. */
export function specOf(text: string | null | undefined): LimitSpec | null {
  if (text == null || text === NO_SPEC) return null;
  try {
    return JSON.parse(text) as LimitSpec | null;
  } catch {
    return null;
  }
}

const nameOf = ({ scope, name }: RuleName): string => `${scope}/${name}`;

/** What is to be written of what a worker declared, given what is there: only what says something else. */
export function changedRules(
  declared: readonly LimitDeclaration[],
  there: readonly RuleRow[],
): RuleRow[] {
  const known = new Map(there.map((row) => [nameOf(row), row.spec]));
  return declared
    .map(({ scope, name, spec }) => ({
      scope: SCOPES[scope],
      name,
      spec: spec === null ? NO_SPEC : JSON.stringify(spec),
    }))
    .filter((row) => row.spec !== (known.get(nameOf(row)) ?? NO_SPEC));
}

export function scopeOf(code: number): LimitScope {
  return code === SCOPES.queue ? "queue" : "kind";
}

/** How many keys a claim looks at, and after how long the next one goes on where those had no room. */
export const SCAN = { keys: 1_000, againMs: 100 } as const;

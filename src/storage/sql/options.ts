/** What a job has no columns of its own for: options as JSON in one of them. */
import type { NewJob } from "../driver.js";

/** Null for nothing. */
export function optsText({ redact }: NewJob): string | null {
  return redact === null ? null : JSON.stringify({ redact });
}

/** A row that was damaged must not stop the claim of others: the names that look secret are hidden all the same. */
export function redactedPaths(opts: string | null): readonly string[] | null {
  if (opts === null) return null;
  try {
    return (JSON.parse(opts) as { redact?: string[] } | null)?.redact ?? null;
  } catch {
    return null;
  }
}

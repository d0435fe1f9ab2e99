/** Limits as laws declare them. */
import type { LimitSpec } from "../../../core/limits/spec.js";
import type { LimitDeclaration, LimitScope } from "../../../storage/driver.js";
import type { Harness } from "../harness.js";
import type { TestWorker } from "../worker.js";

/** What is not named is not limited. */
export function spec(limits: Partial<LimitSpec>): LimitSpec {
  return { running: null, perMachine: null, rate: null, perKey: null, ...limits };
}

/** Limits of the kind "mail" unless another name is given. */
export function limitsOf(
  limits: Partial<LimitSpec> | null,
  name = "mail",
  scope: LimitScope = "kind",
): LimitDeclaration {
  return { scope, name, spec: limits && spec(limits) };
}

/** Said by a worker that starts, and works no more. */
export async function declare(h: Harness, ...limits: readonly LimitDeclaration[]): Promise<void> {
  await h.worker(h.driver, { limits });
}

/** How many jobs a worker gets that asks for many. */
export async function claims(worker: TestWorker, limit = 50): Promise<number> {
  return (await worker.claim({ limit, kinds: ["mail", "fax"] })).length;
}

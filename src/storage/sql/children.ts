/** Jobs that take the place of others that are done. */
import type { ChildOutcome, InsertOutcome, NewJob, Settlement } from "../driver.js";
import type { Work } from "./engine.js";
import { hashOf, insertAll, knownOf, type LaneIds } from "./enqueue.js";
import { findKeys, freeKeys, hashText } from "./keys.js";

/** One that was accepted. `fresh`: by this very transaction; else it is sent again. */
export interface Parent {
  readonly settlement: Settlement & { readonly children: readonly NewJob[] };
  readonly fresh: boolean;
}

/** What became of their children, in order. */
export async function bear(
  work: Work,
  parents: readonly Parent[],
  lanes: LaneIds,
): Promise<ChildOutcome[][]> {
  const born = await insert(
    work,
    parents.filter(({ fresh }) => fresh),
    lanes,
  );
  const again = parents.filter(({ fresh }) => !fresh).flatMap(childrenOf);
  const found = await find(work, again);
  return parents.map((parent) =>
    childrenOf(parent).map((child) => (parent.fresh ? born : found).get(child)!),
  );
}

async function insert(
  work: Work,
  parents: readonly Parent[],
  lanes: LaneIds,
): Promise<ReadonlyMap<NewJob, ChildOutcome>> {
  const first = new Map<string, NewJob>();
  for (const child of parents.flatMap(childrenOf))
    if (!first.has(child.id)) first.set(child.id, child);
  const children = [...first.values()];
  if (children.length === 0) return new Map();
  // Their own keys first: in this transaction nobody else comes between, and children may take them over.
  if (children.some(({ uniqueKey }) => uniqueKey !== null))
    await freeKeys(
      work,
      parents.map(({ settlement }) => settlement.job),
    );
  const outcomes = await insertAll(work, children, lanes);
  const byId = new Map(children.map((child, i) => [child.id, outcomes[i]!]));
  return new Map(
    parents.flatMap(childrenOf).map((child) => {
      const outcome = byId.get(child.id)!;
      return [child, first.get(child.id) === child ? outcome : afterFirst(outcome)];
    }),
  );
}

/** The same id once more. */
function afterFirst(outcome: InsertOutcome): ChildOutcome {
  return outcome.status === "unique" ? outcome : { status: "duplicate" };
}

/** What became of them when they were born. Nothing is pruned so early: what is not there found its key taken. */
async function find(
  work: Work,
  children: readonly NewJob[],
): Promise<ReadonlyMap<NewJob, ChildOutcome>> {
  if (children.length === 0) return new Map();
  const known = await knownOf(work, children);
  const missing = children.filter((child) => !known.has(child.id) && child.uniqueKey !== null);
  const keys = await findKeys(
    work,
    missing.map((child) => ({ hash: hashOf(child) })),
  );
  const holders = new Map(keys.map(({ hash, job_id }) => [hashText(hash), job_id]));
  return new Map(
    children.map((child): [NewJob, ChildOutcome] => {
      if (known.has(child.id)) return [child, { status: "duplicate" }];
      const holder = child.uniqueKey === null ? undefined : holders.get(hashText(hashOf(child)));
      return [child, { status: "unique", holder: holder ?? null }];
    }),
  );
}

const childrenOf = ({ settlement }: Parent): readonly NewJob[] => settlement.children;

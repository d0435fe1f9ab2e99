/** Which of several databases gets a job: an order of preference for each, made of its key and of their names and weights alone. */
import { createHash } from "node:crypto";

export interface Candidate {
  readonly name: string;
  /** More than 0: its share, beside the others'. */
  readonly weight: number;
}

/**
 * The candidates in the order in which this key prefers them (weighted rendezvous hashing). Each is first for its share of all keys.
 * Where one is missing its keys go to the others in proportion, and no other key moves.
 */
export function preference<C extends Candidate>(key: string, candidates: readonly C[]): C[] {
  if (candidates.length < 2) return [...candidates];
  const ranked = candidates.map((candidate) => ({ candidate, score: score(key, candidate) }));
  return ranked.toSorted((a, b) => b.score - a.score).map(({ candidate }) => candidate);
}

/** The larger the better: for an even draw `u` the best of all -weight / ln(u) is this one's with the chance that its weight gives it. */
function score(key: string, { name, weight }: Candidate): number {
  return -weight / Math.log(draw(key, name));
}

/** Between 0 and 1, neither of them. The name comes first with its length, so that no two pairs are one text. */
function draw(key: string, name: string): number {
  const hash = createHash("sha256").update(`${name.length}:${name}${key}`).digest();
  return (hash.readUIntBE(0, 6) + 0.5) / 2 ** 48;
}

/** The matrix mutant × law, as text for a terminal. */

/** For each mutant, the laws that caught it. */
export type Catches = ReadonlyMap<string, ReadonlySet<string>>;

const WIDTH = 118;

/** A grid (one column per law, one block per topic) and below it each mutant with the laws that caught it. */
export function renderMatrix(catches: Catches, lawIds: readonly string[]): string {
  const topics = byTopic(lawIds);
  const margin = Math.max(...[...catches.keys()].map((name) => name.length)) + 2;
  const header = topics.map(([topic, ids]) => topic.slice(0, ids.length).padEnd(ids.length));
  const lines = [
    `Mutants × laws: # caught, · passed. ${catches.size} mutants, ${lawIds.length} laws; columns are laws in their order, by topic.`,
    "",
    " ".repeat(margin) + header.join(" "),
  ];
  for (const [name, caught] of catches) {
    const cells = topics.map(([, ids]) => ids.map((id) => (caught.has(id) ? "#" : "·")).join(""));
    lines.push(name.padEnd(margin) + cells.join(" "));
  }
  lines.push("");
  for (const [name, caught] of catches)
    lines.push(...wrap(`${name} (${caught.size}): `, [...caught]));
  return lines.join("\n");
}

function byTopic(ids: readonly string[]): [string, string[]][] {
  const topics = new Map<string, string[]>();
  for (const id of ids) {
    const topic = id.slice(0, id.indexOf("."));
    topics.set(topic, [...(topics.get(topic) ?? []), id]);
  }
  return [...topics];
}

function wrap(head: string, words: readonly string[]): string[] {
  const lines = [head];
  for (const word of words) {
    if (lines.at(-1)!.length + word.length > WIDTH) lines.push("    ");
    lines[lines.length - 1] += `${word} `;
  }
  return lines.map((line) => line.trimEnd());
}

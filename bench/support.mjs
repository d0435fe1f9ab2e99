/** What the benchmarks share: temporary files, medians, a table, and what they ran on. */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";

/** Runs with a fresh database path, which is deleted afterwards. */
export async function withFile(run) {
  const folder = mkdtempSync(join(tmpdir(), "qudo-bench-"));
  try {
    return await run(join(folder, "bench.db"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** Every contestant once per round, in turn, so that a noisy moment hits all alike. */
export async function rounds(n, contestants) {
  const results = new Map(Object.keys(contestants).map((name) => [name, []]));
  for (let i = 0; i < n; i++)
    for (const [name, run] of Object.entries(contestants)) results.get(name).push(await run());
  return results;
}

export async function sqliteHandle(path) {
  const { DatabaseSync } = await import("node:sqlite").catch(
    () => import("@photostructure/sqlite"),
  );
  return new DatabaseSync(path);
}

export const rate = (n) => Math.round(n).toLocaleString("en-GB");

export function table(head, rows) {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => String(row[i]).length)));
  return all
    .map((row) =>
      row
        .map((cell, i) =>
          i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]),
        )
        .join("  "),
    )
    .join("\n");
}

export function machine() {
  const sqlite =
    Number(process.versions.node.split(".")[0]) >= 22 ? "node:sqlite" : "@photostructure/sqlite";
  return `Node ${process.versions.node}, ${sqlite}, ${cpus().length} × ${cpus()[0].model}, files in ${tmpdir()}`;
}

/** A job for the driver: 100 bytes of payload. */
export function newJob(id) {
  return {
    id,
    queue: "bench",
    kind: "noop",
    priority: 0,
    delayMs: 0,
    runAt: null,
    expiresAt: null,
    maxAttempts: 6,
    timeoutMs: null,
    keepDoneMs: null,
    keepOtherMs: null,
    redact: null,
    payload: { codec: 1, text: JSON.stringify({ n: 1, s: "x".repeat(84) }), bin: null },
    uniqueKey: null,
  };
}

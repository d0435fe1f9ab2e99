/** What a run found out, read from the log of outcomes. */
import { createHash } from "node:crypto";
import type { Qudo } from "qudo";
import type { FileFacts, FilePayload } from "./job.js";
import { pathBytes, shown } from "./paths.js";
import type { IndexRun } from "./run.js";

export interface Report {
  readonly files: number;
  readonly done: number;
  readonly failedAttempts: number;
  /** Handlers that ran to an end, well or badly. */
  readonly attempts: number;
  readonly crashes: number;
  readonly bytes: number;
  readonly lines: number;
  readonly words: number;
  readonly abandoned: readonly Abandoned[];
  readonly largestKinds: readonly KindOfFile[];
  /** SHA-256 of `<hex>  <path>\n`, sorted by path in byte order. */
  readonly digest: string;
}

export interface Abandoned {
  readonly path: string;
  readonly why: string;
}

export interface KindOfFile {
  readonly extension: string;
  readonly files: number;
  readonly bytes: number;
}

export async function report(qudo: Qudo, run: IndexRun): Promise<Report> {
  const found: FileFacts[] = [];
  const given: { job: string; why: string }[] = [];
  let [failedAttempts, attempts, crashes] = [0, 0, 0];
  for await (const { state, reason, job, result, error } of qudo.attempts.list({
    queue: run.queue,
  })) {
    if (state === "done") found.push(result as FileFacts);
    if (state === "abandoned" || state === "cancelled")
      given.push({ job, why: shown(firstLine(error) ?? reason ?? state) });
    if (state === "crashed" || reason === "crashes") crashes++;
    if (state === "failed" || reason === "attempts") failedAttempts++;
    if (state === "done" || state === "failed" || reason === "attempts") attempts++;
  }
  const sum = (count: (facts: FileFacts) => number): number =>
    found.reduce((total, facts) => total + count(facts), 0);
  return {
    files: found.length + given.length,
    done: found.length,
    failedAttempts,
    attempts,
    crashes,
    bytes: sum((f) => f.bytes),
    lines: sum((f) => f.lines),
    words: sum((f) => f.words),
    abandoned: await Promise.all(given.map((one) => abandoned(qudo, one))),
    largestKinds: largestKinds(found),
    digest: digest(found),
  };
}

async function abandoned(
  qudo: Qudo,
  { job, why }: { job: string; why: string },
): Promise<Abandoned> {
  const info = await qudo.jobs.get(job);
  return { path: info === null ? job : shown((info.payload as FilePayload).path), why };
}

function firstLine(text: string | null): string | null {
  return text?.split("\n", 1)[0] ?? null;
}

function digest(found: readonly FileFacts[]): string {
  const lines = found.map(({ path, sha256 }) => ({ path: pathBytes(path), sha256 }));
  lines.sort((a, b) => Buffer.compare(a.path, b.path));
  const hash = createHash("sha256");
  for (const { path, sha256 } of lines) hash.update(`${sha256}  `).update(path).update("\n");
  return hash.digest("hex");
}

function largestKinds(found: readonly FileFacts[]): KindOfFile[] {
  const kinds = new Map<string, { files: number; bytes: number }>();
  for (const { path, bytes } of found) {
    const key = extension(shown(path));
    const kind = kinds.get(key) ?? { files: 0, bytes: 0 };
    kind.files++;
    kind.bytes += bytes;
    kinds.set(key, kind);
  }
  return Array.from(kinds, ([key, kind]) => ({ extension: key, ...kind }))
    .toSorted((a, b) => b.bytes - a.bytes || (a.extension < b.extension ? -1 : 1))
    .slice(0, 5);
}

/** ".d.ts" and ".min.js" are kinds of their own; a leading dot makes none. */
function extension(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return /^.+?((?:\.(?:d|min))?\.[A-Za-z0-9_-]{1,12})$/.exec(name)?.[1]?.toLowerCase() ?? "(none)";
}

/**
 * A run is a queue of its own: "index-files/<folder>/<n>". Starting again goes on in the newest run of the folder; --fresh
 * opens the next one. A job's id follows from run and path, so that scanning again adds nothing twice.
 */
import { createHash } from "node:crypto";
import { idFromName, type Order, type Qudo } from "qudo";
import { indexFile, type FilePayload } from "./job.js";
import { pathText, type PathText } from "./paths.js";

export interface IndexRun {
  readonly queue: string;
  readonly root: PathText;
  /** False for a run that goes on. */
  readonly isNew: boolean;
}

export async function openRun(qudo: Qudo, root: Buffer, fresh: boolean): Promise<IndexRun> {
  const prefix = `index-files/${createHash("sha256").update(root).digest("hex").slice(0, 12)}/`;
  const lanes = await qudo.monitor.counts({ kind: indexFile.kind });
  const numbers = lanes
    .filter(({ queue }) => queue.startsWith(prefix))
    .map(({ queue }) => Number(queue.slice(prefix.length)));
  const newest = Math.max(0, ...numbers);
  const number = fresh || newest === 0 ? newest + 1 : newest;
  return { queue: prefix + String(number), root: pathText(root), isNew: number > newest };
}

export function orderFor({ queue, root }: IndexRun, path: Buffer): Order<FilePayload> {
  const id = idFromName(queue, path);
  return [indexFile, { root, path: pathText(path) }, { id, queue }];
}

/** Jobs left to do, and jobs that have ended, well or badly. */
export interface Standing {
  readonly left: number;
  readonly ended: number;
}

export async function standing(qudo: Qudo, { queue }: IndexRun): Promise<Standing> {
  let [left, ended] = [0, 0];
  for (const lane of await qudo.monitor.counts({ queue })) {
    left += lane.pending + lane.failed + lane.reserved + lane.running;
    ended += lane.done + lane.abandoned + lane.cancelled;
  }
  return { left, ended };
}

/** Producers and workers as processes of their own. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const PLAYER = fileURLToPath(new URL("fixtures/player.mjs", import.meta.url));

/** How many of each, and how many jobs each producer adds. */
interface Cast {
  readonly producers: number;
  readonly workers: number;
  readonly jobs: number;
  /** Resolves when the workers have nothing left to do. */
  done(): Promise<void>;
}

/** Runs them all to their ends, at once: their exit codes. */
export async function play(database: string, cast: Cast): Promise<(number | null)[]> {
  const start = (...args: string[]): ChildProcess =>
    fork(PLAYER, args, { env: { ...process.env, QUDO_DATABASE: database } });
  const workers = Array.from({ length: cast.workers }, () => start("worker"));
  const producers = Array.from({ length: cast.producers }, () =>
    start("producer", String(cast.jobs)),
  );
  const ended = [...workers, ...producers].map(async (child) => {
    const [code] = (await once(child, "exit")) as [number | null];
    return code;
  });
  await Promise.all(ended.slice(cast.workers));
  await cast.done();
  for (const worker of workers) worker.disconnect();
  return Promise.all(ended);
}

/**
 * The main job: one durable job per regular file below a folder. Kill it whenever you like (kill -9, all its processes) and
 * start it again: it goes on where it was.
 */
import { Qudo, QudoError } from "qudo";
import { Enqueueing } from "./enqueue.js";
import { shown } from "./paths.js";
import { Pool } from "./pool.js";
import { report } from "./report.js";
import { openRun, standing } from "./run.js";
import { HELP, settings, UsageError, type Settings } from "./settings.js";
import { Bar, count, table } from "./ui.js";
import { watch } from "./watch.js";

async function main({ root, database, workers, fresh, json }: Settings): Promise<void> {
  const started = performance.now();
  const interrupted = onInterrupt();
  await using qudo = new Qudo({ databases: database });
  const run = await openRun(qudo, root, fresh);
  const { ended: endedBefore } = await standing(qudo, run);
  if (!json) console.log(`${run.isNew ? "Indexing" : "Going on with"} ${shown(run.root)}`);

  const work = new Enqueueing(qudo, run, root, database);
  const pool = new Pool(database, run.queue);
  pool.start(workers);
  try {
    const bar = new Bar(process.stderr, json);
    const watched = watch({ qudo, run, work, endedBefore, started }, bar);
    await Promise.race([watched, pool.broken, interrupted]);
  } finally {
    await pool.stop();
  }

  const seconds = (performance.now() - started) / 1_000;
  const result = await report(qudo, run);
  const jobsPerSecond = (result.files - endedBefore) / seconds;
  if (json) {
    const { files, done, attempts, bytes, digest } = result;
    const abandoned = result.abandoned.length;
    console.log(
      JSON.stringify({ files, done, abandoned, attempts, bytes, digest, seconds, jobsPerSecond }),
    );
  } else {
    const notes = [`each worker did   ${pool.served.map(count).join("; ")}`, ...work.notes];
    console.log(table(result, seconds, jobsPerSecond, notes));
  }
}

class Interrupted extends Error {}

function onInterrupt(): Promise<never> {
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => reject(new Interrupted("Stopped. Start again to go on.")));
  });
  // It may come before anybody waits for it.
  interrupted.catch(() => undefined);
  return interrupted;
}

try {
  const given = settings();
  if (given === null) console.log(HELP);
  else await main(given);
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`error: ${error.message}\n\n${HELP}`);
    process.exitCode = 2;
  } else {
    const known = error instanceof QudoError || error instanceof Interrupted;
    console.error(known ? error.message : error);
    process.exitCode = error instanceof Interrupted ? 130 : 1;
  }
}

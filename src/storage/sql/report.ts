/** What runs say while they go on: progress, log lines. */
import type { RunReport } from "../driver.js";
import { glance, write, type Engine, type Work } from "./engine.js";
import { keepLines, linesOf } from "./lines.js";
import { runKey } from "./record.js";
import { markLeases, oursOf, replaceRunning, runningOf, sharing } from "./running.js";

/** A mere question whether the runs are still ours takes no locks. */
export function report(engine: Engine, reports: readonly RunReport[]): Promise<boolean[]> {
  if (reports.length === 0) return Promise.resolve([]);
  const news = reports.some(({ progress, lines }) => progress !== null || lines.length > 0);
  return news
    ? write(engine, (work) => keep(work, reports))
    : glance(engine, (work) => oursOf(work, reports, "none"));
}

async function keep(work: Work, reports: readonly RunReport[]): Promise<boolean[]> {
  const ours = await oursOf(work, reports, sharing(work));
  const lines = await linesOf(
    work,
    reports.map(({ job: id, run, lines: said }, i) => ({ id, run, lines: said, held: ours[i]! })),
  );
  const mine = reports.filter((_, i) => ours[i]);
  await Promise.all([markLeases(work, mine), keepLines(work, lines), keepProgress(work, mine)]);
  return ours;
}

/** A run that tells of its progress is shown as running from then on. The last word of each run counts. */
async function keepProgress(work: Work, reports: readonly RunReport[]): Promise<void> {
  const told = new Map<string, RunReport>();
  for (const one of reports) if (one.progress !== null) told.set(runKey(one.job, one.run), one);
  if (told.size === 0) return;
  const runs = Array.from(told.values(), ({ job: id, run }) => ({ id, run }));
  const running = await runningOf(work, runs);
  await replaceRunning(
    work,
    Array.from(told, ([key, { job: job_id, run, session: worker, progress }]) => ({
      job_id,
      run,
      worker,
      progress,
      started_at: running.get(key)?.started_at ?? work.now,
    })),
  );
}

/** Broken reports and logs. */
import { idBytes, idText } from "../../../src/core/ids.js";
import type { LogLine, RunReport } from "../../../src/storage/driver.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

/** Reports with each line changed. */
const writing =
  (edit: (line: LogLine) => LogLine): Mutant["wrap"] =>
  (driver) => ({
    ...driver,
    report: (reports) =>
      driver.report(reports.map((one) => ({ ...one, lines: one.lines.map(edit) }))),
  });

const isNews = ({ progress, lines }: RunReport): boolean => progress !== null || lines.length > 0;

export const reportMutants: readonly Mutant[] = [
  {
    name: "progress-once",
    breaks: "Only the first word on a run's progress is kept.",
    caughtBy: ["report.progress"],
    rewrites: [change(SQL.setProgress, "where", "where progress is null and")],
  },
  {
    name: "report-starts-always",
    breaks: "A run that only asks is shown as running.",
    caughtBy: ["report.not-shown-without-news"],
    wrap: (driver) => ({
      ...driver,
      async report(reports) {
        await driver.markStarted(reports);
        return driver.report(reports);
      },
    }),
  },
  {
    name: "report-believed",
    breaks: "Whoever reports is told that the run is his.",
    caughtBy: ["report.lost", "report.others", "report.in-order"],
    wrap: (driver) => ({
      ...driver,
      report: async (reports) => (await driver.report(reports)).map(() => true),
    }),
  },
  {
    name: "report-without-news-unasked",
    breaks: "Without news nobody is asked whether the run is still its worker's.",
    caughtBy: ["report.lost", "report.others"],
    wrap: (driver) => ({
      ...driver,
      report: async (reports) =>
        (await driver.report(reports)).map((ours, i) => ours || !isNews(reports[i]!)),
    }),
  },
  {
    name: "report-by-anybody",
    breaks: "A session may report through the lease of another.",
    caughtBy: ["report.others"],
    wrap: (driver, db) => ({
      ...driver,
      report: (reports) =>
        driver.report(
          reports.map((one) => {
            const lease = db
              .prepare("select worker from qudo_lease where id = ?")
              .get(idBytes(one.lease)) as { worker: Uint8Array } | undefined;
            return lease === undefined ? one : { ...one, session: idText(lease.worker) };
          }),
        ),
    }),
  },
  {
    name: "report-shuffled",
    breaks: "Reports are answered in another order than they came.",
    caughtBy: ["report.in-order"],
    wrap: (driver) => ({
      ...driver,
      report: async (reports) =>
        [...(await driver.report(reports.toReversed()))].toSorted((a, b) => +a - +b),
    }),
  },
  {
    name: "report-per-run",
    breaks: "Each run is reported in a transaction of its own.",
    caughtBy: ["sets.one-transaction"],
    wrap: (driver) => ({
      ...driver,
      async report(reports) {
        const answers: boolean[] = [];
        for (const one of reports) answers.push(...(await driver.report([one])));
        return answers;
      },
    }),
  },
  {
    name: "log-without-levels",
    breaks: "All lines are of one level.",
    caughtBy: ["log.as-written"],
    wrap: writing((line) => ({ ...line, level: "info" })),
  },
  {
    name: "log-by-arrival",
    breaks: "A line is said to be written when it came.",
    caughtBy: ["log.as-written"],
    wrap: writing((line) => ({ ...line, agoMs: 0 })),
  },
  {
    name: "log-overwritten",
    breaks: "A line that is sent again takes the place of the first.",
    caughtBy: ["log.resend"],
    rewrites: [change(SQL.insertLine, "insert or ignore", "insert or replace")],
  },
  {
    name: "log-not-settled",
    breaks: "Lines that come with a settlement are dropped.",
    caughtBy: ["log.with-the-settlement", "log.pages"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) =>
        driver.trip({
          ...trip,
          settle: trip.settle.map((group) => ({
            ...group,
            settlements: group.settlements.map((s) => ({ ...s, lines: undefined })),
          })),
        }),
    }),
  },
  {
    name: "log-of-the-lost-dropped",
    breaks: "The last lines of a lost run are lost, too.",
    caughtBy: ["log.of-a-lost-run"],
    wrap: (driver, db) => ({
      ...driver,
      async report(reports) {
        const answers = await driver.report(reports);
        for (const [i, { job, run }] of reports.entries())
          if (!answers[i])
            db.prepare("delete from qudo_job_log where job_id = ? and run = ?").run(
              idBytes(job),
              run,
            );
        return answers;
      },
    }),
  },
  {
    name: "log-without-a-job",
    breaks: "Lines of a job that is gone are kept for ever.",
    caughtBy: ["log.of-a-lost-run"],
    rewrites: [
      change(
        SQL.insertLine,
        "select id, ?, ?, ?, ?, ? from qudo_job where id = ?",
        "values (?6, ?1, ?2, ?3, ?4, ?5)",
      ),
    ],
  },
  {
    name: "log-unordered",
    breaks: "Lines come in no order.",
    caughtBy: ["log.pages"],
    rewrites: [change(SQL.log, "order by run, seq", "order by line")],
  },
  {
    name: "log-of-all-runs",
    breaks: "Lines cannot be narrowed to a run.",
    caughtBy: ["log.pages"],
    rewrites: [change(SQL.log, "(? is null or run = ?)", "(? is null or ? is not null)")],
  },
];

/** Broken ends of sessions that live. */
import type { Mutant } from "./mutant.js";

export const dismissMutants: readonly Mutant[] = [
  {
    name: "dismiss-is-reap",
    breaks: "An operator's end of a session counts as a crash of what ran.",
    caughtBy: ["dismiss.released", "dismiss.abandoned"],
    wrap: (driver) => ({
      ...driver,
      async dismiss(sessions) {
        const rows = await driver.sessions();
        const dead = sessions.map((id) => {
          const beat = rows.find((row) => row.id === id)?.beat ?? 0;
          return { id, beat, cause: "gone", leaseMs: 0 } as const;
        });
        return (await driver.reap(dead)).map((one) =>
          one.status === "reaped"
            ? { status: "dismissed", runs: Object.values(one.decided).reduce((a, b) => a + b, 0) }
            : { status: "absent" },
        );
      },
    }),
  },
  {
    name: "dismiss-leaves-the-session",
    breaks: "What it held is given back, and the session goes on.",
    caughtBy: ["dismiss.fences", "dismiss.others"],
    wrap: (driver) => ({
      ...driver,
      async dismiss(sessions, how) {
        const rows = await driver.sessions();
        const outcomes = await driver.dismiss(sessions, how);
        for (const { id, beat: _, seenAt: _s, startedAt: _a, leases: _l, ...row } of rows)
          if (sessions.includes(id)) await driver.openSession({ id, ...row });
        return outcomes;
      },
    }),
  },
  {
    name: "dismiss-counts-all",
    breaks: "Runs that were decided before are counted, too.",
    caughtBy: ["dismiss.decided"],
    wrap: (driver) => ({
      ...driver,
      dismiss: async (sessions, how) =>
        (await driver.dismiss(sessions, how)).map((one) =>
          one.status === "dismissed" ? { ...one, runs: one.runs * 3 } : one,
        ),
    }),
  },
];

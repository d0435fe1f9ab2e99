/** Broken claims. */
import type { Trip, Want } from "../../../src/storage/driver.js";
import { newId } from "../../../src/storage/ids.js";
import { SQL } from "../../../src/storage/sqlite/statements.js";
import { change, type Mutant } from "./mutant.js";

/** The trip with its wants changed. */
function wanting(trip: Trip, edit: (wants: readonly Want[]) => readonly Want[]): Trip {
  const { claim } = trip;
  return claim === null ? trip : { ...trip, claim: { ...claim, wants: edit(claim.wants) } };
}

export const claimMutants: readonly Mutant[] = [
  {
    name: "double-claim",
    breaks: "A claimed row stays ready, and the next one claims it too.",
    caughtBy: ["claim.no-double", "fence.late-settle"],
    rewrites: [
      change(SQL.deleteReadyTo, "where", "where 0 and"),
      change(SQL.deleteReady, "where", "where 0 and"),
    ],
  },
  {
    name: "last-stays-ready",
    breaks: "Of what is claimed together the last one stays ready.",
    caughtBy: ["claim.no-double"],
    rewrites: [change(SQL.deleteReadyTo, "<=", "<")],
  },
  {
    name: "more-is-taken-out",
    breaks: "What is claimed takes whatever stands behind it with its priority out of ready.",
    caughtBy: ["claim.limit"],
    rewrites: [
      change(
        SQL.deleteReadyTo,
        "(prio, run_at, id) <= (?, ?, ?)",
        "(prio, run_at / 1000000000000, id > x'00') <= (?, ?, ? > x'00')",
      ),
    ],
  },
  {
    name: "lost-order",
    breaks: "Jobs are claimed in the order of their ids.",
    caughtBy: ["claim.priority-order", "claim.due-order"],
    rewrites: [
      change(SQL.peek, "order by r.prio, r.run_at, r.id", "order by r.id"),
      change(SQL.peekAfter, "order by r.prio, r.run_at, r.id", "order by r.id"),
    ],
  },
  {
    name: "priority-upside-down",
    breaks: "Lower priority is claimed first.",
    caughtBy: ["claim.priority-order", "claim.order-across-kinds"],
    rewrites: [change(SQL.peek, "order by r.prio,", "order by r.prio desc,")],
  },
  {
    name: "kinds-in-turn",
    breaks: "Each kind is claimed for itself, one after the other.",
    caughtBy: ["claim.order-across-kinds", "claim.whole-line"],
    wrap: (driver) => ({
      ...driver,
      async trip(trip) {
        let left = trip.claim?.wants.reduce((sum, want) => sum + want.limit, 0) ?? 0;
        const each = wanting(trip, (wants) =>
          wants.flatMap((want) => (want.kinds ?? []).map((kind) => ({ ...want, kinds: [kind] }))),
        );
        const outcome = await driver.trip(each);
        return { ...outcome, claimed: outcome.claimed.filter(() => left-- > 0) };
      },
    }),
  },
  {
    name: "first-piece-only",
    breaks: "A lane is read once, and what lies behind the first piece is not found.",
    caughtBy: ["claim.whole-line", "claim.expired-crowd"],
    rewrites: [change(SQL.peekAfter, "where", "where 0 and")],
  },
  {
    name: "limit-per-claim",
    breaks: "The first want's limit holds for all.",
    caughtBy: ["claim.limit"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) =>
        driver.trip(
          wanting(trip, (wants) => wants.map((want) => ({ ...want, limit: wants[0]!.limit }))),
        ),
    }),
  },
  {
    name: "claims-any-kind",
    breaks: "A worker is given kinds that it does not know.",
    caughtBy: ["claim.wanted-kinds"],
    wrap: (driver) => ({
      ...driver,
      async trip(trip) {
        const kinds = [...new Set((await driver.counts({})).map((lane) => lane.kind))];
        return driver.trip(wanting(trip, (wants) => wants.map((want) => ({ ...want, kinds }))));
      },
    }),
  },
  {
    name: "any-kind-is-none",
    breaks: "Whoever names no kinds is given nothing.",
    caughtBy: ["claim.any-kind"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) =>
        driver.trip(
          wanting(trip, (wants) => wants.map((want) => ({ ...want, kinds: want.kinds ?? [] }))),
        ),
    }),
  },
  {
    name: "claims-any-queue",
    breaks: "A worker is given jobs of queues that it does not work.",
    caughtBy: ["claim.wanted-queues"],
    wrap: (driver) => ({
      ...driver,
      async trip(trip) {
        const queues = [...new Set((await driver.counts({})).map((lane) => lane.queue))];
        return driver.trip(
          wanting(trip, (wants) =>
            wants.flatMap((want) => queues.map((queue) => ({ ...want, queue }))),
          ),
        );
      },
    }),
  },
  {
    name: "claim-without-session-check",
    breaks: "An ended session can still claim.",
    caughtBy: ["claim.unknown-session", "claim.ended-session"],
    rewrites: [
      { find: "pragma foreign_keys=on", put: "pragma foreign_keys=off" },
      {
        find: SQL.session,
        put: "select coalesce(max(beat), 0) as beat, max(seen_at) as seen_at from qudo_worker where id = ?",
      },
    ],
  },
  {
    name: "lost-claim-keeps-settles",
    breaks: "Settle and claim are two transactions: of a refused trip one half stays.",
    caughtBy: ["claim.ended-session"],
    wrap: (driver) => ({
      ...driver,
      async trip({ settle, claim }) {
        if (settle.length === 0 || claim === null) return driver.trip({ settle, claim });
        const { settled } = await driver.trip({ settle, claim: null });
        return { ...(await driver.trip({ settle: [], claim })), settled };
      },
    }),
  },
  {
    name: "claims-before-it-settles",
    breaks: "The claim comes first: what the same trip frees is not found.",
    caughtBy: ["claim.settles-first"],
    wrap: (driver) => ({
      ...driver,
      async trip({ settle, claim }) {
        if (settle.length === 0 || claim === null) return driver.trip({ settle, claim });
        const claimed = await driver.trip({ settle: [], claim });
        return { ...claimed, settled: (await driver.trip({ settle, claim: null })).settled };
      },
    }),
  },
  {
    name: "claim-resend-takes-more",
    breaks: "A claim sent again is a new claim.",
    caughtBy: ["claim.resend"],
    wrap: (driver) => ({
      ...driver,
      trip: (trip) =>
        driver.trip({ ...trip, claim: trip.claim && { ...trip.claim, lease: newId() } }),
    }),
  },
  {
    name: "claim-resend-revives",
    breaks: "A claim sent again answers with runs that were decided since.",
    caughtBy: ["claim.resend-less-decided"],
    wrap: (driver) => {
      const answers = new Map<string, Awaited<ReturnType<typeof driver.trip>>>();
      return {
        ...driver,
        async trip(trip) {
          const lease = trip.claim?.lease ?? "";
          const outcome = answers.get(lease) ?? (await driver.trip(trip));
          if (trip.claim !== null) answers.set(lease, outcome);
          return outcome;
        },
      };
    },
  },
  {
    name: "expired-is-run",
    breaks: "Expiry is stored and never looked at.",
    caughtBy: ["claim.expired", "unique.freed-by-expiry"],
    rewrites: [SQL.peek, SQL.peekAfter].map((sql) =>
      change(sql, "j.expires_at", "null as expires_at"),
    ),
  },
  {
    name: "expired-takes-a-place",
    breaks: "A claim that found only expired jobs says that there is nothing.",
    caughtBy: ["claim.expired-crowd"],
    wrap: (driver) => ({
      ...driver,
      trip: async (trip) => ({ ...(await driver.trip(trip)), more: false }),
    }),
  },
  {
    name: "large-payload-cut",
    breaks: "Large payloads come with the claim, cut to what is allowed.",
    caughtBy: ["claim.large-payload"],
    rewrites: [
      change(
        SQL.claimedJob,
        "case when length(cast(j.payload_text as blob)) <= ? then j.payload_text end",
        "substr(j.payload_text, 1, ?)",
      ),
    ],
  },
  {
    name: "payload-limit-in-characters",
    breaks: "A payload is measured in characters, and comes with the claim though it is too large.",
    caughtBy: ["claim.large-payload-in-bytes"],
    rewrites: [
      change(
        SQL.claimedJob,
        "when length(cast(j.payload_text as blob))",
        "when length(j.payload_text)",
      ),
    ],
  },
  {
    name: "time-out-dropped",
    breaks: "The time-out of a job does not reach its worker.",
    caughtBy: ["enqueue.as-it-went-in"],
    rewrites: [change(SQL.peek, "j.timeout_ms", "null as timeout_ms")],
  },
  {
    name: "idle-without-session",
    breaks: "Where nothing is ready nobody asks whether the session still lives.",
    caughtBy: ["claim.unknown-session-of-an-idle-queue"],
    wrap: (driver, db) => ({
      ...driver,
      async trip(trip) {
        const ready = db.prepare("select 1 from qudo_ready").get();
        if (ready != null || trip.settle.length > 0) return driver.trip(trip);
        return driver.trip(trip).catch(() => ({ settled: [], claimed: [], more: false }));
      },
    }),
  },
  {
    name: "idle-before-resend",
    breaks: "Where nothing is ready a claim that is sent again is answered with nothing.",
    caughtBy: ["claim.resend-of-the-rest"],
    rewrites: [change(SQL.leaseKnown, "where", "where 0 and")],
  },
];

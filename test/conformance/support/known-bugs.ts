/** Laws that the SQLite engine breaks today, each with what is wrong. They are run, must fail, and leave this list when mended. */
export const KNOWN_BUGS: ReadonlyMap<string, string> = new Map([
  [
    "unique.next-life-survives-lost-settle",
    "settle.ts readBack frees the key of a job that was retried after the terminal outcome it found",
  ],
  [
    "unique.next-life-survives-late-worker",
    "settle.ts readBack, the same without a lease: after reap and retry",
  ],
  [
    "unique.next-life-survives-reap",
    "conclude.ts frees the key of a job that was retried after the terminal outcome it found",
  ],
  [
    "cancel.running",
    "audit.ts calls the running row of a cancelled run I1 until its worker gives up",
  ],
  ["claim.large-payload-in-bytes", "statements.ts claimedJob: length() of text counts characters"],
  [
    "sessions.heartbeat-drops-finished",
    "sessions.ts heartbeat names finished leases, removes none",
  ],
  [
    "sessions.own-outcomes-are-not-fenced",
    "sessions.ts heartbeat calls runs fenced that this very session has settled",
  ],
  ["prune.past-the-leased", "maintain.ts applies the limit before it leaves out leased jobs"],
]);

/**
 * The storage contract as laws: its table of contents. An engine keeps the contract when every law holds for it:
 *
 *     for (const law of laws) test(law.id, () => runLaw(law, fixture));
 *
 * That each law can fail is proved by the mutants in test/conformance.
 */
import { cancelLaws } from "./cancel.js";
import { claimLaws } from "./claim.js";
import { dismissLaws } from "./dismiss.js";
import { endingLaws } from "./endings.js";
import { enqueueLaws } from "./enqueue.js";
import { fenceLaws } from "./fence.js";
import { identityLaws } from "./identity.js";
import type { Law } from "./law.js";
import { lifeLaws } from "./life.js";
import { listLaws } from "./list.js";
import { logLaws } from "./log.js";
import { lookLaws } from "./look.js";
import { pauseLaws } from "./pause.js";
import { promoteLaws } from "./promote.js";
import { pruneLaws } from "./prune.js";
import { purgeLaws } from "./purge.js";
import { reapLaws } from "./reap.js";
import { releaseLaws } from "./release.js";
import { replaceLaws } from "./replace.js";
import { reportLaws } from "./report.js";
import { rescheduleLaws } from "./reschedule.js";
import { retryLaws } from "./retry.js";
import { reviveLaws } from "./revive.js";
import { sessionLaws } from "./sessions.js";
import { setLaws } from "./sets.js";
import { settleLaws } from "./settle.js";
import { tallyLaws } from "./tally.js";
import { uniqueLaws } from "./unique.js";

export type { Fixture, Law, LawResult } from "./law.js";
export { LawBrokenError, runLaw } from "./law.js";

/** Every law, in the order in which a job meets them. */
export const laws: readonly Law[] = [
  // Tables are made once, by whoever comes first; what is read is the database's own time.
  ...lifeLaws,
  // Every call takes sets, answers in order, and costs the same commits for one and for a hundred.
  ...setLaws,
  // Producers: a known id is never inserted again, a delay is kept.
  ...enqueueLaws,
  // At most one living job per key, from enqueue to the end of its last life.
  ...uniqueLaws,
  // Claims: in order, of wanted lanes only, by living sessions only, each job once.
  ...claimLaws,
  // Ends of runs: what they leave behind, and when the job comes back.
  ...settleLaws,
  // Jobs in the place of one that is done: with its end, or not at all.
  ...replaceLaws,
  // The fence: a run ends once, and only for the session that holds its lease.
  ...fenceLaws,
  // Reports of runs that go on: what they say is kept, what is lost is told.
  ...reportLaws,
  // Lines that handlers write: none lost, none doubled.
  ...logLaws,
  // Sessions: opened once, renewed by updates, never revived.
  ...sessionLaws,
  // Dead sessions: their jobs come back, killers are condemned, innocents are not.
  ...reapLaws,
  // Runs given back cost nothing and keep their place.
  ...releaseLaws,
  // Operators: cancelling meets a job wherever it stands.
  ...cancelLaws,
  // Operators: another life for what was abandoned or cancelled.
  ...retryLaws,
  // Operators: emptying a queue, also of what runs.
  ...purgeLaws,
  // Operators: another time or priority for what waits.
  ...rescheduleLaws,
  // Operators: a new job of a failed run, once.
  ...reviveLaws,
  // Operators: the end of a session that lives.
  ...dismissLaws,
  // Operators: what is paused waits, what runs goes on.
  ...pauseLaws,
  // Maintenance: due jobs become ready, with the run and the place they had.
  ...promoteLaws,
  // Maintenance: finished jobs go, never those a worker may still ask for.
  ...pruneLaws,
  // Looking: states are derived, counts are exact, pages have no gaps.
  ...lookLaws,
  // Lists of jobs: where each stands, page by page.
  ...listLaws,
  // Finished jobs: the last word on each, and how long it is shown.
  ...endingLaws,
  // What happened, per minute.
  ...tallyLaws,
  // Who the database is among several, and whether it is in use.
  ...identityLaws,
];

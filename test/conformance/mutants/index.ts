/** Every broken engine. What none of them breaks is not proved by the laws. */
import { claimMutants } from "./claim.js";
import { dismissMutants } from "./dismiss.js";
import { enqueueMutants } from "./enqueue.js";
import { identityMutants } from "./identity.js";
import { listMutants } from "./list.js";
import { moveMutants } from "./moves.js";
import type { Mutant } from "./mutant.js";
import { operateMutants } from "./operate.js";
import { pruneMutants } from "./prune.js";
import { replaceMutants } from "./replace.js";
import { reportMutants } from "./report.js";
import { reviveMutants } from "./revive.js";
import { sessionMutants } from "./sessions.js";
import { settleMutants } from "./settle.js";
import { tallyMutants } from "./tally.js";
import { upkeepMutants } from "./upkeep.js";

export const mutants: readonly Mutant[] = [
  ...settleMutants,
  ...claimMutants,
  ...enqueueMutants,
  ...sessionMutants,
  ...operateMutants,
  ...replaceMutants,
  ...moveMutants,
  ...reviveMutants,
  ...dismissMutants,
  ...upkeepMutants,
  ...listMutants,
  ...reportMutants,
  ...tallyMutants,
  ...pruneMutants,
  ...identityMutants,
];

/** Several databases as one: a driver made of drivers. Whoever calls it does not know how many there are. */
import type { Driver, Part } from "../driver.js";
import { placing } from "./enqueue.js";
import { figures } from "./figures.js";
import { finding } from "./find.js";
import { listing } from "./list.js";
import { operating } from "./operate.js";
import { partsOf } from "./part.js";
import type { SeveralPlan } from "./plan.js";
import { REAL, type Surroundings } from "./surroundings.js";
import { byLease, working, type Turns } from "./working.js";

/** What the databases of a list have in common. */
export interface SeveralOptions {
  /** False: tables are made by nobody here, and a database without them is refused. */
  readonly migrate: boolean;
  /** Time and chance; tests give their own. Default: those of the process. */
  readonly surroundings?: Surroundings;
}

/** Opens nothing: each of them is opened when it is first needed. */
export function openSeveral(plan: SeveralPlan, options: SeveralOptions): Driver {
  const { surroundings = REAL } = options;
  const targets = partsOf(plan, { ...options, surroundings });
  return oneDriver(targets, placing({ targets, placement: plan.placement, surroundings }));
}

/** One driver over these. `insertJobs` decides where new jobs go, `turns` which of them a claim asks first. */
export function oneDriver(
  parts: readonly Part[],
  insertJobs: Driver["insertJobs"],
  { turns = byLease }: { readonly turns?: Turns } = {},
): Driver {
  return {
    label: parts.map(({ name, driver }) => `${name}: ${driver.label}`).join(", "),
    // Each tells of writes as it can, and while none of them does nobody is to rely on it.
    capabilities: { wakeups: true },
    listens: () => parts.every(isHeard),
    subscribe: (onChange) => {
      const stops = parts.map(({ driver }) => driver.subscribe?.(onChange));
      return () => stops.forEach((stop) => stop?.());
    },
    insertJobs,
    ...working(parts, turns),
    ...finding(parts),
    ...listing(parts),
    ...figures(parts),
    ...operating(parts),
    parts,
  };
}

/** One that is out has nothing to tell. */
function isHeard(part: Part): boolean {
  if (part.status().state !== "healthy") return true;
  const { driver } = part;
  return driver.capabilities.wakeups && (driver.listens?.() ?? driver.subscribe !== undefined);
}

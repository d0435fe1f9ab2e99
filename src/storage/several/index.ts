/** Several databases as one: a driver made of drivers. Whoever calls it does not know how many there are. */
import type { Driver, Part } from "../driver.js";
import { looking } from "./looking.js";
import { operating } from "./operate.js";
import { working } from "./working.js";

/** One driver over these. `insertJobs` decides where new jobs go. */
export function oneDriver(parts: readonly Part[], insertJobs: Driver["insertJobs"]): Driver {
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
    ...working(parts),
    ...looking(parts),
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

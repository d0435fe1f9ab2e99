/** The real time of this process. */
import type { Time } from "../core/time.js";

export const REAL: Time = {
  now: () => performance.now(),
  wall: () => Date.now(),
  chance: () => Math.random(),
  soon: (then) => void setImmediate(then),
  later: (then, ms) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
  aside: (then, ms) => {
    const timer = setTimeout(then, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

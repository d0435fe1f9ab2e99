/** Time and chance, as several databases need them: given, so that a test can hold both in its hands. */
import type { Time } from "../../core/time.js";

export type { Time as Surroundings } from "../../core/time.js";
export { REAL } from "../time.js";

/** Whether it ends within so many milliseconds; it goes on all the same. @throws what it throws. */
export function endsWithin(
  promise: Promise<unknown>,
  ms: number,
  surroundings: Pick<Time, "later">,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const cancel = surroundings.later(() => resolve(false), ms);
    void promise.then(() => resolve(true), reject).finally(cancel);
  });
}

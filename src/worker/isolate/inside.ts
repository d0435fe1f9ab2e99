/** Whether this is the inside of a thread or process for handlers. A sign that all copies of the package see. */
const KEY = Symbol.for("qudo.isolated.1");
const shared = globalThis as { [KEY]?: true };

/** From now on this thread is one. */
export function enterIsolation(): void {
  shared[KEY] = true;
}

/** A worker started here would start threads or processes of its own, and they again. */
export const isIsolated = (): boolean => shared[KEY] === true;

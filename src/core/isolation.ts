/** Handlers that run apart from their worker: where, and which module has them. */
import { InvalidInputError } from "./errors.js";
import { show } from "./options.js";

/** Where a handler runs that is kept apart: in a worker thread, or in a child process. */
export type Isolation = "thread" | "process";

export function checkIsolation(value: unknown): Isolation {
  if (value === "thread" || value === "process") return value;
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `isolate is ${show(value)}; give "thread" or "process".`,
  );
}

/** Where a module is: what `import.meta.url` says, the URL of a file, or (as `__filename` says) its whole path. */
export function checkModule(value: unknown): string {
  const text = value instanceof URL ? value.href : value;
  if (typeof text === "string" && /^(?:file:|data:|\/|[a-z]:[\\/])/i.test(text)) return text;
  throw new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `module is ${show(value)}; give import.meta.url of the module that exports the job (__filename in CommonJS).`,
  );
}

/** The signals of a prefork parent: SIGTERM and SIGINT stop, twice at once; SIGHUP restarts. */
import type { Logger } from "../options.js";
import type { Parent } from "./parent.js";

/** npm and npx pass Ctrl-C on to a process that the terminal has told already: within this time it is the same one. */
const SAME_MS = 300;

export function listenToSignals(parent: Parent, logger: Logger): () => void {
  let first: { signal: NodeJS.Signals; at: number } | null = null;
  const stop = (signal: NodeJS.Signals): void => {
    if (first === null) {
      first = { signal, at: performance.now() };
      logger.info(`qudo: ${signal}: stopping the children; a second signal ends them at once`);
      parent.stop();
    } else if (signal !== first.signal || performance.now() - first.at > SAME_MS) parent.force();
  };
  const restart = (): void => void parent.restart();
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", restart);
  return () => {
    process.off("SIGTERM", stop);
    process.off("SIGINT", stop);
    process.off("SIGHUP", restart);
  };
}

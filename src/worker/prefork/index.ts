/** Prefork: one parent, and so many children that each run the same program with a worker in it. */
import { serveHealth, type Health } from "./health.js";
import { preforkSettings, type PreforkOptions } from "./options.js";
import { Parent, type PreforkFigures } from "./parent.js";
import { listenToSignals } from "./signals.js";

/** Children at work, made by {@link prefork}. */
export interface Prefork extends AsyncDisposable {
  /** What it and its children do. */
  readonly figures: PreforkFigures;
  /** Address of the health endpoint; null without one. */
  readonly health: string | null;
  /**
   * Resolves when it was stopped and the last child has ended. Rejects with QUDO_CHILD_FAILED when a child ended by itself before any
   * of them was ready: the program cannot work.
   */
  readonly stopped: Promise<void>;
  /**
   * Replaces the children one after the other, each when its successor is ready, so that work goes on and new code is taken. False when a
   * successor did not become ready: then the restart is given up, and the old children stay.
   */
  restart(): Promise<boolean>;
  /** Tells the children to stop, and waits for them. `force`: they give back what runs, and end at once. */
  stop(options?: { force?: boolean }): Promise<void>;
}

/**
 * Starts children that all run `script`, any program that calls `qudo.work()`, and keeps so many of them alive: one that crashes is followed
 * by another, after a pause that grows with each crash in a row.
 * @throws InvalidInputError for options that cannot be; QudoError QUDO_HEALTH_PORT.
 */
export async function prefork(options: PreforkOptions): Promise<Prefork> {
  const settings = preforkSettings(options);
  let parent: Parent | null = null;
  // Before any child is there: a port that is taken is found out at no cost.
  const health: Health | null =
    settings.health === null ? null : await serveHealth(settings.health, () => parent!.figures);
  const own = (parent = new Parent(settings));
  const unlisten = settings.signals ? listenToSignals(own, settings.logger) : () => undefined;
  const stopped = own.gone.finally(() => {
    unlisten();
    health?.close();
  });
  stopped.catch(() => undefined);
  const stop = async ({ force = false } = {}): Promise<void> => {
    if (force) own.force();
    else own.stop();
    await stopped;
  };
  return {
    get figures() {
      return own.figures;
    },
    health: health?.url ?? null,
    stopped,
    restart: () => own.restart(),
    stop,
    // That it failed is for `stopped` to say: said here, too, it would take the place of what the block ends with.
    [Symbol.asyncDispose]: () => stop().catch(() => undefined),
  };
}

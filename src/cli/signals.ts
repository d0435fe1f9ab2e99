/** SIGINT and SIGTERM for a command that runs until told to stop: once for a clean end, twice for an end at once. */
import { say } from "./output.js";

type Signal = "SIGINT" | "SIGTERM";

/** As a shell reports a process that the signal ended. */
const EXIT_CODES: Readonly<Record<Signal, number>> = { SIGINT: 130, SIGTERM: 143 };

/** npm and npx pass Ctrl-C on to a process that the terminal has told already: within this time it is the same one. */
const SAME_MS = 300;

/** Resolves at the first signal; at a second one the process exits. */
export function firstSignal(): Promise<Signal> {
  return new Promise((resolve) => {
    let first: { signal: Signal; at: number } | undefined;
    const told = (signal: Signal): void => {
      if (first === undefined) {
        first = { signal, at: performance.now() };
        resolve(signal);
      } else if (signal !== first.signal || performance.now() - first.at > SAME_MS) exitNow(signal);
    };
    process.on("SIGINT", told);
    process.on("SIGTERM", told);
  });
}

function exitNow(signal: Signal): never {
  say(`${signal} again: exiting at once; jobs that were running will run again elsewhere`);
  process.exit(EXIT_CODES[signal]);
}

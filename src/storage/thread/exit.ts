/**
 * The end of the process. Node stops threads wherever they are, and a client library that is stopped inside its native code
 * may take the process down with SIGABRT (@photostructure/sqlite does). So each thread is first asked to stand still.
 */

/** What the process ends with when a thread is in the middle of something long. */
const PATIENCE_MS = 2_000;

/** Of each thread that lives. */
interface Living {
  readonly exit: SharedArrayBuffer;
  /** Sends "exit". */
  ask(): void;
}

const living = new Set<Living>();

/** Until the returned function is called, the thread is asked when the process ends. */
export function watchExit(thread: Living): () => void {
  if (living.size === 0) process.on("exit", askAll);
  living.add(thread);
  return () => {
    if (living.delete(thread) && living.size === 0) process.off("exit", askAll);
  };
}

function askAll(): void {
  const deadline = performance.now() + PATIENCE_MS;
  for (const { ask } of living) ask();
  for (const { exit } of living)
    Atomics.wait(new Int32Array(exit), 0, 0, Math.max(0, deadline - performance.now()));
}

/** The thread's side, outside of any native code: says so, and waits for its end. */
export function standStill(exit: SharedArrayBuffer): void {
  const word = new Int32Array(exit);
  Atomics.store(word, 0, 1);
  Atomics.notify(word, 0);
  Atomics.wait(word, 0, 1);
}

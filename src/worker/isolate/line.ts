/** The line from a worker to one host, be that a thread or a process. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Worker as Thread } from "node:worker_threads";
import type { Isolation } from "../../core/isolation.js";
import { packThrown, type FromHost, type Packed, type ToHost } from "./wire.js";

/** A way to speak to a host, and to end it. */
export interface Line {
  /** @throws what structured clone throws for what it cannot carry. */
  say(message: ToHost): void;
  /** At once, whatever it does. */
  kill(): void;
  /** Whether it keeps this process alive. */
  hold(on: boolean): void;
}

/** What a host says, and how it ended. */
export interface Listener {
  heard(message: FromHost): void;
  /** `how`: in words, as in "exit code 1". */
  ended(how: string): void;
}

export function openLine(isolation: Isolation, module: string, listener: Listener): Line {
  return isolation === "thread" ? toThread(module, listener) : toProcess(module, listener);
}

/** Beside this file where that is compiled. Node runs no TypeScript: from the sources, what was built is run. */
const HOST = import.meta.url.endsWith(".ts")
  ? new URL("../../../dist/worker/isolate/host.js", import.meta.url)
  : new URL("./host.js", import.meta.url);

function toThread(module: string, { heard, ended }: Listener): Line {
  const thread = new Thread(HOST, { workerData: { module }, name: "qudo handlers" });
  let dying: Packed | null = null;
  thread.on("message", heard);
  thread.on("messageerror", (error) => heard({ dying: (dying = packThrown(error)) }));
  thread.on("error", (error) => heard({ dying: (dying = packThrown(error)) }));
  thread.on("exit", (code) => ended(dying === null ? `exit code ${code}` : "an uncaught error"));
  return {
    say: (message) => thread.postMessage(message),
    kill: () => void thread.terminate(),
    hold: (on) => (on ? thread.ref() : thread.unref()),
  };
}

function toProcess(module: string, { heard, ended }: Listener): Line {
  // A child of a prefork parent speaks to that; what this one starts does not.
  const { QUDO_PREFORK: _, ...env } = process.env;
  const child = fork(fileURLToPath(HOST), [module, String(process.pid)], {
    env,
    execArgv: process.execArgv.filter((flag) => !flag.startsWith("--inspect")),
    serialization: "advanced",
  });
  child.on("message", heard);
  child.once("exit", (code, signal) => {
    const how = signal ?? `exit code ${code}`;
    // What it has said before comes after the news of its end, where that is quicker.
    if (child.connected) child.once("disconnect", () => ended(how));
    else ended(how);
  });
  // It could not be started at all.
  child.on("error", (error) => child.pid === undefined && ended(error.message));
  return {
    say: (message) => {
      if (child.connected) child.send(message, () => undefined);
    },
    kill: () => void child.kill("SIGKILL"),
    hold: (on) => {
      if (on) child.ref();
      else child.unref();
      if (on) child.channel?.ref();
      else child.channel?.unref();
    },
  };
}

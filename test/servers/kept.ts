/** The owner's side of a keeper: one server process, startable again and again in one private folder on one port. */
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, readFileSync, statfsSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const KEEPER = fileURLToPath(new URL("keeper.mjs", import.meta.url));
const ROOM = 2 * 2 ** 30;

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** How a server is started, each time it is. */
export interface Plan {
  readonly command: Command;
  /** Regular expressions of lines of its output: all have been written when it takes connections. */
  readonly ready: readonly string[];
  /** What ends it in good order. */
  readonly stopSignal: NodeJS.Signals;
  /** How long it may take until it is ready. Default 60,000 ms. */
  readonly withinMs?: number;
}

/** What a test may do to a server that it started itself. */
export interface Controls {
  /** Ends it in good order. Data and port stay, for `start`. */
  stop(): Promise<void>;
  /** SIGKILL to all of its processes; resolves when none is left. Data and port stay, for `start`. */
  kill(): Promise<void>;
  /** Starts it again on the same data and the same port; resolves when it takes connections. */
  start(): Promise<void>;
  /** SIGSTOP to all of its processes: connections stay open, nothing answers. */
  pause(): Promise<void>;
  /** SIGCONT after `pause`. */
  resume(): Promise<void>;
  /** Its processes, the first one first; empty while it is down. */
  processes(): Promise<readonly number[]>;
  /** The last lines that it wrote since it was started. */
  log(): Promise<string>;
  /** Ends it for good and deletes its data. Done by itself when the process that started it ends, by whatever end. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Kept {
  /** Private to the server's user, which is not root. Deleted at the end. */
  readonly folder: string;
  /** The folder of programs itself, or a copy in `folder` where the server's user may not go there. */
  programs(home: string): string;
  /** Runs a command in the folder, as that user, until it ends well. */
  run(command: Command): Promise<void>;
  /** Starts the server for the first time, on a port that is free, and hands out what a test may do with it. */
  serve(plan: PlanAt): Promise<{ readonly port: number; readonly controls: Controls }>;
}

/** `again`: it is not the first time. */
type PlanAt = (port: number, again?: true) => Plan;

/** `last` is sent first when everything ends: SIGKILL, unless the server holds something outside its folder. */
export async function keep(name: string, last: NodeJS.Signals = "SIGKILL"): Promise<Kept> {
  const { ask, leave } = await keeper();
  const prefix = join(roomyFolder(), `qudo-${name}-`);
  const user = ordinaryUser();
  const folder = (await ask("folder", { prefix, ...user, last })) as string;
  return {
    folder,
    programs: (home) =>
      user.uid === undefined || openToAll(home) ? home : copied(home, folder, user),
    run: (command) => orNothing(async () => void (await ask("run", { command }))),
    serve: (plan) =>
      orNothing(async () => {
        const port = await startedOnFreePort(ask, plan);
        return { port, controls: controls(ask, plan(port, true), leave) };
      }),
  };

  /** What does not come to be leaves nothing behind. */
  async function orNothing<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      await ask("remove").finally(leave);
      throw error;
    }
  }
}

function controls(ask: Ask, plan: Plan, leave: () => void): Controls {
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= ask("remove").then(leave));
  return {
    stop: async () => void (await ask("stop", { signal: plan.stopSignal })),
    kill: async () => void (await ask("kill")),
    start: () => start(ask, plan),
    pause: async () => void (await ask("pause")),
    resume: async () => void (await ask("resume")),
    processes: async () => (await ask("running")) as number[],
    log: async () => (await ask("log")) as string,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function start(ask: Ask, { command, ready, withinMs = 60_000 }: Plan): Promise<void> {
  await ask("start", { command, ready, withinMs });
}

type Ask = (what: string, given?: object) => Promise<unknown>;

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** A running keeper, which ends when it is left. It holds this process only while an answer is awaited. */
async function keeper(): Promise<{ ask: Ask; leave(): void }> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = fork(KEEPER, [], {
    detached: true,
    execArgv: [],
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    env,
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let last = 0;
  const settle = (id: number, { value, error }: Omit<Answer, "id">) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) child.channel?.unref();
    if (error === undefined) call?.resolve(value);
    else call?.reject(new Error(error));
  };
  child.on("message", ({ id, ...answer }: Answer) => settle(id, answer));
  child.on("exit", () => {
    for (const id of waiting.keys()) settle(id, { error: "The keeper of the server has ended." });
  });
  await once(child, "spawn");
  child.unref();
  child.channel?.unref();
  const ask: Ask = (ask, given = {}) =>
    new Promise((resolve, reject) => {
      if (!child.connected) return reject(new Error("This server was closed."));
      const id = ++last;
      waiting.set(id, { resolve, reject });
      child.channel?.ref();
      child.send({ id, ask, ...given }, (error) => error && settle(id, { error: error.message }));
    });
  return { ask, leave: () => void (child.connected && child.disconnect()) };
}

/** QUDO_TEST_FOLDER; else in memory where there is room: a container may have as little as 64 MB of it. */
function roomyFolder(): string {
  const given = process.env["QUDO_TEST_FOLDER"];
  if (given) return given;
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    accessSync("/dev/shm", constants.W_OK);
    if (bavail * bsize >= ROOM) return "/dev/shm";
  } catch {
    // There is none.
  }
  return tmpdir();
}

interface User {
  readonly uid?: number;
  readonly gid?: number;
}

/** Servers refuse to run as root: then they run as `nobody`. */
function ordinaryUser(): User {
  if (process.getuid?.() !== 0) return {};
  const line = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"));
  if (!line) throw new Error("Servers do not run as root, and this machine has no user `nobody`.");
  return { uid: Number(line[1]), gid: Number(line[2]) };
}

/** A folder below /root, say, is not. */
function openToAll(folder: string): boolean {
  if ((statSync(folder).mode & 0o005) !== 0o005) return false;
  return dirname(folder) === folder || openToAll(dirname(folder));
}

function copied(home: string, folder: string, { uid, gid }: User): string {
  const to = join(folder, "programs");
  execFileSync("cp", ["-a", home, to]);
  execFileSync("chown", ["-R", `${uid}:${gid}`, to]);
  return to;
}

async function startedOnFreePort(ask: Ask, plan: PlanAt): Promise<number> {
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    try {
      await start(ask, plan(port));
      return port;
    } catch (error) {
      // Somebody else took it meanwhile.
      if (tries === 5 || !/Address already in use/i.test(String(error))) throw error;
    }
  }
}

/**
 * Below the ports that the system gives to outgoing connections: one of those could take the port while its server is down, and a
 * client that connects to a port of that range where nobody listens may even meet itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    const probe = createServer().listen(port, "127.0.0.1");
    try {
      await once(probe, "listening");
      return port;
    } catch {
      // Taken: the next one.
    } finally {
      await new Promise((closed) => probe.close(closed));
    }
  }
}

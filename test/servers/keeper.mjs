/**
 * Keeps one server, in a process of its own: makes its private folder, starts it, signals it with all its processes. When whoever
 * asked for it goes away, by whatever end, SIGKILL included, the channel between the two closes; then the server ends and its
 * folder goes. It stands in a session of its own, so that Ctrl-C in a terminal reaches it through its owner only.
 *
 * Asked over the channel with `{ id, ask, … }`, answers `{ id, value }` or `{ id, error }`. Nothing here knows of any database.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";

const KEPT_LINES = 200;

let folder = "";
let user = {};
/** What to send first when all ends, so that the server clears away what it holds outside its folder. */
let farewell = "SIGKILL";
let server;
let paused = false;
let lines = [];

const answers = { folder: makeFolder, run, start, stop, kill, pause, resume, remove, log, running };

process.on("message", async ({ id, ask, ...given }) => {
  try {
    reply({ id, value: await answers[ask](given) });
  } catch (error) {
    reply({ id, error: error.message });
  }
});
process.on("disconnect", end);
process.on("SIGTERM", end);
// Its owner may outlive the run that it belongs to.
if (process.env.QUDO_TEST_BROKER)
  connect(Number.parseInt(process.env.QUDO_TEST_BROKER, 10), "127.0.0.1")
    .on("error", () => {})
    .on("close", end);

function reply(message) {
  if (process.connected) process.send(message, () => {});
}

function makeFolder({ prefix, uid, gid, last }) {
  folder = mkdtempSync(prefix);
  if (uid !== undefined) chownSync(folder, uid, gid);
  user = { uid, gid };
  farewell = last;
  return folder;
}

/** Resolves when it has ended well. */
async function run({ command }) {
  const child = launch(command);
  const [code, signal] = await once(child, "close");
  if (code !== 0) throw new Error(`${command.file} ended with ${code ?? signal}:\n${log()}`);
}

/** Resolves with its process id as soon as lines of its output have matched all of `ready`, in any order. */
async function start({ command, ready, withinMs }) {
  if (server) throw new Error("It runs already.");
  const child = launch(command);
  const awaited = new Set(ready.map((pattern) => new RegExp(pattern)));
  const verdict = await new Promise((resolve) => {
    const timer = setTimeout(resolve, withinMs, `was not ready after ${withinMs} ms`);
    const settle = (verdict) => resolve(verdict, clearTimeout(timer));
    child.on("line", (line) => {
      for (const pattern of awaited) if (pattern.test(line)) awaited.delete(pattern);
      if (awaited.size === 0) settle("ready");
    });
    child.on("close", (code, signal) => settle(`ended with ${code ?? signal}`));
  });
  if (verdict === "ready") return child.pid;
  await kill();
  throw new Error(`${command.file} ${verdict}:\n${log()}`);
}

function launch({ file, args, env }) {
  lines = [];
  paused = false;
  const child = spawn(file, args, {
    ...user,
    cwd: folder,
    // A session of its own: what it starts and leaves behind is found by it.
    detached: true,
    env: { PATH: process.env.PATH, LC_ALL: "C", HOME: folder, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (line) => {
      if (lines.push(line) > KEPT_LINES) lines.shift();
      child.emit("line", line);
    });
  // Followed by "close".
  child.on("error", (error) => lines.push(error.message));
  server = child;
  child.on("close", () => {
    if (server === child) server = undefined;
  });
  return child;
}

/** Resolves when it has ended by itself. */
async function stop({ signal }) {
  if (!server) return;
  if (paused) resume();
  const closed = once(server, "close");
  process.kill(server.pid, signal);
  await closed;
}

/** SIGKILL to all of its processes. Resolves when none is left. */
async function kill() {
  if (!server) return;
  const child = server;
  const closed = once(child, "close");
  const pids = pause();
  for (const pid of pids) signalTo(pid, "SIGKILL");
  await closed;
  for (const pid of pids)
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** All stand still: the first one first, so that it starts no others meanwhile. */
function pause() {
  if (!server) throw new Error("It does not run.");
  paused = true;
  signalTo(server.pid, "SIGSTOP");
  const pids = family(server.pid);
  for (const pid of pids) signalTo(pid, "SIGSTOP");
  return pids;
}

function resume() {
  if (!server) throw new Error("It does not run.");
  paused = false;
  // Itself last: it sees nothing of a child that still stands.
  for (const pid of family(server.pid).toReversed()) signalTo(pid, "SIGCONT");
}

async function remove() {
  await kill();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

function log() {
  return lines.join("\n");
}

function running() {
  return server ? family(server.pid) : [];
}

async function end() {
  if (server && !paused && farewell !== "SIGKILL") {
    const closed = once(server, "close");
    signalTo(server.pid, farewell);
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 2_000))]);
  }
  if (folder) await remove();
  process.exit(0);
}

function signalTo(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** A process and all that came of it: its descendants, and whoever is left in its session. */
function family(root) {
  const all = processes();
  const found = new Set([root]);
  for (const { pid, session } of all) if (session === root) found.add(pid);
  for (let before = 0; before < found.size;) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

function processes() {
  const found = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const fields = stat(name);
    if (fields)
      found.push({ pid: Number(name), parent: Number(fields[1]), session: Number(fields[3]) });
  }
  return found;
}

/** What follows the name in /proc/<pid>/stat: state, parent, group, session. */
function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}

function isAlive(pid) {
  return existsSync(`/proc/${pid}`) && stat(pid)?.[0] !== "Z";
}

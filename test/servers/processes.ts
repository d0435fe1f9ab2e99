/** What the system itself says of a server's processes. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** T: it stands still. */
export function stateOf(pid: number): string {
  const text = readFileSync(`/proc/${pid}/stat`, "latin1");
  return text.slice(text.lastIndexOf(")") + 2)[0]!;
}

export function isAlive(pid: number): boolean {
  try {
    return stateOf(pid) !== "Z";
  } catch {
    return false;
  }
}

/** Where these processes listen, "address:port" in IPv4 and IPv6. */
export function listening(pids: readonly number[]): string[] {
  const sockets = new Set(pids.flatMap((pid) => socketsOf(pid)));
  const lines = ["tcp", "tcp6"].flatMap((name) =>
    readFileSync(`/proc/net/${name}`, "latin1").split("\n"),
  );
  const found = lines.flatMap((line) => {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    return state === "0A" && sockets.has(`socket:[${inode}]`) ? [readable(local)] : [];
  });
  return [...new Set(found)];
}

function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

/** "0100007F:3A98" of /proc/net/tcp. */
function readable(local: string): string {
  const [address = "", port = ""] = local.split(":");
  const bytes = [...Buffer.from(address, "hex")].toReversed();
  return `${bytes.length === 4 ? bytes.join(".") : `[${address}]`}:${Number.parseInt(port, 16)}`;
}

/** The processes that work in a folder or below. */
export function processesIn(folder: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

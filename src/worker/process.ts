/**
 * Which process a session belongs to, told so that others on the same host can see its death at once: boot id, pid
 * namespace, pid and start time. All four known and equal on both sides, or nothing is concluded (and the lease decides).
 */
import { readFileSync, readlinkSync } from "node:fs";

/** Null where the system does not tell (anything but Linux with /proc). */
export function ownIdentity(): string | null {
  const here = place();
  const stat = readStat(process.pid);
  if (here === null || stat === null || stat === "none") return null;
  return [here.boot, here.namespace, process.pid, stat.startedAt].join(" ");
}

/** True only when that process certainly runs no more. */
export function isGone(identity: string | null): boolean {
  const here = place();
  const [boot, namespace, pid, startedAt] = identity?.split(" ") ?? [];
  if (here === null || here.boot !== boot || here.namespace !== namespace) return false;
  const stat = readStat(Number(pid));
  if (stat === null) return false;
  return stat === "none" || stat.startedAt !== startedAt || stat.dead;
}

interface Stat {
  readonly startedAt: string;
  /** A zombie waits only for its parent to notice. */
  readonly dead: boolean;
}

let known: { boot: string; namespace: string } | null = null;

/** Read once: neither changes while a process lives, and every worker asks for every other one each second. */
function place(): { boot: string; namespace: string } | null {
  try {
    known ??= {
      boot: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
      namespace: readlinkSync("/proc/self/ns/pid"),
    };
    return known;
  } catch {
    return null;
  }
}

/** "none" where there is no such process, null where that cannot be told. */
function readStat(pid: number): Stat | "none" | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in parentheses and may hold anything: count from behind it.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [state, startedAt] = [fields[0], fields[19]];
    if (startedAt === undefined) return null;
    return { startedAt, dead: state === "Z" || state === "X" };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return (code === "ENOENT" || code === "ESRCH") && !answers(pid) ? "none" : null;
  }
}

/** Where /proc hides other users' processes, a missing entry is no proof: ask the system itself. */
function answers(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/**
 * SQLite's locks and the shared memory of its log hold between the processes of one host. On a file system that several hosts share
 * they do not, and two of them would corrupt the file: such ones are refused, those of which nothing is known are warned of.
 */
import { statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DatabaseError } from "../../core/errors.js";

export type FileSystem =
  | { readonly kind: "local" }
  /** "network" is shared between hosts; of "unknown" it is not known what stands behind it. */
  | { readonly kind: "network" | "unknown"; readonly name: string };

/** Linux' numbers of file systems (statfs(2), linux/magic.h). What is not listed is local. */
const KINDS: ReadonlyMap<number, readonly ["network" | "unknown", string]> = new Map([
  [0x6969, ["network", "NFS"]],
  [0x517b, ["network", "SMB"]],
  [0xff534d42, ["network", "CIFS"]],
  [0xfe534d42, ["network", "SMB2"]],
  [0x564c, ["network", "NCP"]],
  [0x5346414f, ["network", "AFS"]],
  [0x6b414653, ["network", "AFS"]],
  [0x73757245, ["network", "Coda"]],
  [0x00c36400, ["network", "CephFS"]],
  [0x0bd00bd0, ["network", "Lustre"]],
  [0x47504653, ["network", "GPFS"]],
  [0x19830326, ["network", "BeeGFS"]],
  [0xaad7aaea, ["network", "PanFS"]],
  [0x01161970, ["network", "GFS2"]],
  [0x7461636f, ["network", "OCFS2"]],
  [0x65735546, ["unknown", "FUSE"]],
  [0x01021997, ["unknown", "9p"]],
  [0x786f4256, ["unknown", "a VirtualBox shared folder"]],
  [0x7c7c6673, ["unknown", "a Parallels shared folder"]],
]);

export function fileSystemOf(type: number | bigint): FileSystem {
  // Some systems give it signed.
  const [kind, name] = KINDS.get(Number(BigInt.asUintN(32, BigInt(type)))) ?? ["local", ""];
  return kind === "local" ? { kind } : { kind, name };
}

export interface Surroundings {
  readonly platform: string;
  typeOf(folder: string): number | bigint;
  warn(message: string): void;
}

const HERE: Surroundings = {
  platform: process.platform,
  typeOf: (folder) => statfsSync(folder).type,
  warn: (message) => process.emitWarning(message, { code: "QUDO_NETWORK_FILE_SYSTEM" }),
};

/** Folders that were warned of: once is enough. */
const warned = new Set<string>();

/** @throws DatabaseError QUDO_NETWORK_FILE_SYSTEM for a file, there already or not, on a file system that hosts share. */
export function checkFileSystem(path: string, around: Surroundings = HERE): void {
  // Elsewhere these numbers mean nothing.
  if (around.platform !== "linux") return;
  const folder = dirname(resolve(path));
  const found = look(folder, around);
  if (found.kind === "network")
    throw new DatabaseError(
      "QUDO_NETWORK_FILE_SYSTEM",
      `${path} is on ${found.name}, a network file system: SQLite's locks do not hold there, and two hosts would corrupt it. Use a local disk; if one host alone ever opens it, say so with networkFileSystem: "allow".`,
      false,
    );
  if (found.kind !== "unknown" || warned.has(folder)) return;
  warned.add(folder);
  around.warn(
    `${path} is on ${found.name}: what stands behind it is not known, and SQLite's locks may not hold there. If it is local, say networkFileSystem: "allow".`,
  );
}

/** A folder that cannot be looked at is for the opening to complain of. */
function look(folder: string, { typeOf }: Surroundings): FileSystem {
  try {
    return fileSystemOf(typeOf(folder));
  } catch {
    return { kind: "local" };
  }
}

/** Which file systems are refused, which are warned of, and that the file is not touched. The system's answer is put in its place. */
import { existsSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { openDatabase } from "../../src/storage/open.js";
import {
  checkFileSystem,
  fileSystemOf,
  type Surroundings,
} from "../../src/storage/sqlite/filesystem.js";
import { openSqlite } from "../../src/storage/sqlite/index.js";

const system = vi.hoisted(() => ({ type: 0 }));

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  const statfsSync = (path: string) => ({ ...real.statfsSync(path), type: system.type });
  return { ...real, statfsSync };
});

const EXT4 = 0xef53;
const NFS = 0x6969;
const FUSE = 0x65735546;
const folder = mkdtempSync(join(tmpdir(), "qudo-filesystem-"));
let files = 0;
let path: string;

beforeEach(() => {
  system.type = EXT4;
  path = join(folder, `${++files}.db`);
});

afterAll(() => rmSync(folder, { recursive: true }));

describe("numbers of file systems", () => {
  test.each([
    [0x6969, "NFS"],
    [0xff534d42, "CIFS"],
    [0xff534d42 - 2 ** 32, "CIFS"],
    [0xfe534d42, "SMB2"],
    [0x517b, "SMB"],
    [0x5346414f, "AFS"],
    [0x00c36400, "CephFS"],
    [0x0bd00bd0, "Lustre"],
    [0x47504653, "GPFS"],
    [0x6969n, "NFS"],
  ])("%s is %s, and shared", (type, name) =>
    expect(fileSystemOf(type)).toEqual({ kind: "network", name }),
  );

  test.each([
    [FUSE, "FUSE"],
    [0x01021997, "9p"],
  ])("%s is %s, and may be anything", (type, name) =>
    expect(fileSystemOf(type)).toEqual({ kind: "unknown", name }),
  );

  // ext4, xfs, btrfs, tmpfs, overlay, zfs, and a number that nobody has.
  test.each([EXT4, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0x7777])(
    "%s is local",
    (type) => expect(fileSystemOf(type)).toEqual({ kind: "local" }),
  );
});

test("a file on a network file system is refused, and not made", async () => {
  system.type = NFS;
  expect(statfsSync(folder).type).toBe(NFS);
  await expect(openSqlite({ path })).rejects.toMatchObject({
    code: "QUDO_NETWORK_FILE_SYSTEM",
    message: expect.stringMatching(/is on NFS.*networkFileSystem: "allow"/) as string,
  });
  expect(existsSync(path)).toBe(false);
});

test("it is opened where the user says so", async () => {
  system.type = NFS;
  const driver = await openSqlite({ path, networkFileSystem: "allow" });
  expect((await driver.migrate()).from).toBeNull();
  await driver.close();
});

test("what may be anything is opened with one warning, and with none where the user says so", async () => {
  system.type = FUSE;
  const warnings = vi.spyOn(process, "emitWarning").mockReturnValue();
  for (let n = 1; n <= 3; n++) await (await openSqlite({ path })).close();
  expect(warnings).toHaveBeenCalledTimes(1);
  expect(warnings).toHaveBeenCalledWith(expect.stringContaining("is on FUSE"), {
    code: "QUDO_NETWORK_FILE_SYSTEM",
  });
  const elsewhere = mkdtempSync(join(folder, "elsewhere-"));
  const other = await openSqlite({ path: join(elsewhere, "a.db"), networkFileSystem: "allow" });
  await other.close();
  expect(warnings).toHaveBeenCalledTimes(1);
  warnings.mockRestore();
});

test("a local one, and a database in memory wherever it is, are opened without a word", async () => {
  const warnings = vi.spyOn(process, "emitWarning").mockReturnValue();
  await (await openSqlite({ path })).close();
  system.type = NFS;
  await (await openSqlite({ path: ":memory:" })).close();
  expect(warnings).not.toHaveBeenCalled();
  warnings.mockRestore();
});

test("another value of the option is refused", async () => {
  const options = { url: `sqlite:${path}`, networkFileSystem: "maybe" as "allow" };
  await expect(openDatabase(options)).rejects.toMatchObject({ code: "QUDO_INVALID_OPTION" });
});

const notThere = (): never => {
  throw new Error("ENOENT");
};

test("elsewhere than on Linux the numbers mean nothing, and a folder that cannot be looked at is not judged", () => {
  const around: Surroundings = {
    platform: "darwin",
    typeOf: () => NFS,
    warn: () => expect.unreachable(),
  };
  expect(() => checkFileSystem(path, around)).not.toThrow();
  expect(() =>
    checkFileSystem(path, { ...around, platform: "linux", typeOf: notThere }),
  ).not.toThrow();
  expect(() => checkFileSystem(path, { ...around, platform: "linux" })).toThrow("NFS");
});

/** The package as users get it: packed once, installed without scripts into a folder outside the tree. */
import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/[\\/]$/, "");
const FIXTURES = fileURLToPath(new URL("fixtures", import.meta.url));

/** What `npm pack` says of the tarball. */
export interface Tarball {
  readonly filename: string;
  /** Bytes, packed and unpacked. */
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/** How a process ended, and what it said. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of a user's with the package in its node_modules. */
export interface Installed {
  readonly folder: string;
  readonly tarball: Tarball;
  /** Runs a file of the folder with this Node. */
  node(file: string, ...args: string[]): Promise<Ended>;
  /** Runs the installed `qudo`. */
  qudo(...args: string[]): Promise<Ended>;
  remove(): void;
}

/** Both need npm; only the second may need its registry, for what is not in npm's cache. */
export async function install(): Promise<Installed> {
  if (!existsSync(join(ROOT, "dist/index.js"))) throw new Error("run npm run build first");
  const folder = mkdtempSync(join(outside(), "qudo-package-"));
  // What stands in dist is what is tested: packing builds nothing here.
  const packing = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const [tarball] = JSON.parse(await npm(packing, ROOT)) as [Tarball];
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
  await npm(["install", ...flags, join(folder, tarball.filename)], folder);
  cpSync(FIXTURES, folder, { recursive: true });
  const node = (file: string, ...args: string[]): Promise<Ended> =>
    run(process.execPath, [join(folder, file), ...args], folder);
  return {
    folder,
    tarball,
    node,
    qudo: (...args) => node(join("node_modules", "qudo", "dist", "cli", "main.js"), ...args),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A place above which nothing is installed: what a package does not bring must not be found there. */
function outside(): string {
  const places = [tmpdir(), "/var/tmp", "/dev/shm"].filter((place) => existsSync(place));
  const free = places.find((place) =>
    above(place).every((at) => !existsSync(join(at, "node_modules"))),
  );
  if (free === undefined) throw new Error(`node_modules stands above ${places.join(", ")}`);
  return free;
}

function above(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...above(parent)];
}

/** What a user of an older Node installs beside it: here the tree's own copy. */
export function addSqlitePackage({ folder }: Installed): void {
  const name = join("node_modules", "@photostructure", "sqlite");
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  symlinkSync(join(ROOT, name), join(folder, name), "junction");
}

async function npm(args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run("npm", args, cwd);
  if (code !== 0) throw new Error(`npm ${args.join(" ")} failed:\n${stdout}${stderr}`);
  return stdout;
}

export function run(command: string, args: readonly string[], cwd: string): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

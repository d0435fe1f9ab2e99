/** Where the files of these tests lie, how a test looks into one, and the check that the threads run today's engine. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import type { Driver } from "../../src/storage/driver.js";
import { openSqlite } from "../../src/storage/sqlite/index.js";
import { openPlain } from "./handle.mjs";

/** In memory where the system has such a place: hundreds of files are made and thrown away. */
const BASE = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

export function newFolder(): string {
  return mkdtempSync(join(BASE, "qudo-interleavings-"));
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** A connection beside the engine's, for raw SQL. */
export const openRaw = openPlain;

/** A clock that stands still until it is told. */
export interface Hands {
  now: number;
}

export function openDriver(path: string, clock: Hands): Promise<Driver> {
  return openSqlite({ path, clock: () => clock.now });
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * @throws when dist/ holds another engine than src/: the threads would test yesterday's. By content, not by time, so that
 * neither a checkout nor a build that had nothing to do deceives it.
 */
export function requireFreshBuild(): void {
  const compilerOptions = { ...readOptions(), module: ts.ModuleKind.ESNext };
  const seen = new Set<string>();
  const visit = (module: string): void => {
    if (seen.has(module)) return;
    seen.add(module);
    const source = join(root, "src", `${module}.ts`);
    const built = join(root, "dist", `${module}.js`);
    const text = readFileSync(source, "utf8");
    const code = ts.transpileModule(text, { compilerOptions, fileName: source }).outputText;
    if (!existsSync(built) || withoutMap(code) !== withoutMap(readFileSync(built, "utf8")))
      throw new Error(`dist/ is older than ${source}. Run: npx tsc -p tsconfig.build.json`);
    for (const [, path] of code.matchAll(/ from "(\.[^"]+)\.js"/g))
      visit(join(dirname(module), path!));
  };
  visit("storage/sqlite/index");
}

function readOptions(): ts.CompilerOptions {
  const path = join(root, "tsconfig.json");
  const config = ts.readConfigFile(path, (file) => readFileSync(file, "utf8")).config as {
    compilerOptions: unknown;
  };
  return ts.convertCompilerOptionsFromJson(config.compilerOptions, root, path).options;
}

const withoutMap = (code: string): string => code.replace(/\/\/# sourceMappingURL=.*\s*$/, "");

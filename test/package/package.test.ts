/** The packed package, installed outside the tree: what is in it, its types, and that it runs. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VERSION } from "../../src/core/version.js";
import { addSqlitePackage, install, ROOT, run, type Installed } from "./support.js";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { types: string; default: string }>>;
}

/** Whether this Node has an SQLite of its own, unflagged: since 22.13. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const HAS_SQLITE = major > 22 || (major === 22 && minor >= 13);

let installed: Installed;

beforeAll(async () => {
  installed = await install();
}, 120_000);

afterAll(() => installed?.remove());

const inPackage = (path: string): string => join(installed.folder, "node_modules", "qudo", path);
const text = (path: string): string => readFileSync(inPackage(path), "utf8");
const manifest = (): Manifest => JSON.parse(text("package.json")) as Manifest;
const entries = (): string[] => Object.keys(manifest().exports).map((key) => `qudo${key.slice(1)}`);

describe("the tarball", () => {
  test("holds each module's code and types, the pages, and nothing else", () => {
    const { tarball } = installed;
    const found = tarball.files.map(({ path }) => path).toSorted();
    console.log(
      `${tarball.filename}: ${found.length} files, ${kilobytes(tarball.size)} packed, ${kilobytes(tarball.unpackedSize)} unpacked`,
    );
    const modules = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
      .map((path) => path.replaceAll("\\", "/"))
      .filter((path) => path.endsWith(".ts"))
      .flatMap((path) => [".js", ".d.ts"].map((end) => `dist/${path.slice(0, -3)}${end}`));
    const pages = readdirSync(join(ROOT, "docs")).map((page) => `docs/${page}`);
    const whole = ["CHANGELOG.md", "LICENSE", "README.md", "package.json"];
    expect(found).toEqual([...whole, ...modules, ...pages].toSorted());
  });

  // Of it the engines are about 260 kB, workers 90, the pages 90, the conformance suite and the kit for tests 80, the command 60.
  test("fits where it is downloaded often: less than 800 kB packed", () => {
    expect(installed.tarball.size).toBeLessThan(800_000);
  });

  test("mentions no path of the machine that made it", () => {
    const telling = installed.tarball.files.filter(({ path }) =>
      [ROOT, homedir(), "sourceMappingURL"].some((trace) => text(path).includes(trace)),
    );
    expect(telling.map(({ path }) => path)).toEqual([]);
  });

  test("brings one dependency, and asks for no install script", () => {
    const lock = join(installed.folder, "node_modules", ".package-lock.json");
    const { packages } = JSON.parse(readFileSync(lock, "utf8")) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    expect(Object.keys(packages).toSorted()).toEqual([
      "node_modules/commander",
      "node_modules/qudo",
    ]);
    expect(Object.values(packages).filter(({ hasInstallScript }) => hasInstallScript)).toEqual([]);
  });
});

describe("the types", () => {
  test("suit a program under moduleResolution node16", () =>
    typecheck("node16", "program.ts", { module: "node16", moduleResolution: "node16" }));

  test("suit a program under moduleResolution bundler", () =>
    typecheck("bundler", "program.ts", { module: "esnext", moduleResolution: "bundler" }));

  test("suit a CommonJS module under nodenext", () =>
    typecheck("commonjs", "legacy.cts", { module: "nodenext", moduleResolution: "nodenext" }));
});

describe("without a package for SQLite", () => {
  test(`Node ${process.versions.node} ${HAS_SQLITE ? "works with its own" : "names what to install"}`, async () => {
    const { code, stdout } = await installed.node("esm.mjs", "sqlite:alone.db");
    expect(code).toBe(0);
    if (HAS_SQLITE) return expect(JSON.parse(stdout)).toMatchObject({ state: "done" });
    const error = JSON.parse(stdout) as { code: string; message: string };
    expect(error).toMatchObject({ name: "DatabaseError", code: "QUDO_PACKAGE_MISSING" });
    expect(error.message).toContain("npm install @photostructure/sqlite@1");
  });
});

describe("with what its Node needs", () => {
  beforeAll(() => {
    if (!HAS_SQLITE) addSqlitePackage(installed);
  });

  test("a job is done through import, without a warning", async () => {
    const { code, stdout, stderr } = await installed.node("esm.mjs", "sqlite:esm.db");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({ state: "done", result: "sent to you" });
  });

  test("a job is enqueued through require", async () => {
    // Node 20 and 22 warn that loading ES modules by require is experimental: theirs to say.
    const { code, stdout } = await installed.node("common.cjs", "sqlite:common.db");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ status: "inserted", refused: true, laws: true });
  });

  test("the synopses of the two older systems, written with the package alone", async () => {
    const qudo = await installed.node("synopsis-qudo.mjs", "sqlite:synopsis.db");
    expect(qudo).toEqual({
      code: 0,
      stdout: "worked with arg\n[ { database: 'main', jobs: 0 } ]\n",
      stderr: "",
    });
    const tasks = await installed.node("synopsis-task-queue.mjs", "sqlite:tasks.db");
    expect({ code: tasks.code, stderr: tasks.stderr }).toEqual({ code: 0, stderr: "" });
    const [submitted, ...lines] = tasks.stdout.split("\n");
    expect(submitted).toMatch(/^Submitted task [0-9a-f-]{36}$/);
    expect(lines).toEqual(["OK Example Domain", "2 done, 1 purged", "message.html true", ""]);
  });

  test("the command works, also by the link that npm makes", async () => {
    const link = await run(
      join(installed.folder, "node_modules", ".bin", "qudo"),
      ["--version"],
      installed.folder,
    );
    expect(link).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: "" });
    const migrated = await installed.qudo("migrate", "--database", "sqlite:cli.db", "--json");
    expect(migrated).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(migrated.stdout)).toMatchObject({ database: "sqlite:cli.db", from: null });
    const status = await installed.qudo("status", "--database", "sqlite:cli.db", "--json");
    expect(JSON.parse(status.stdout)).toMatchObject({ lanes: [], workers: [] });
  });

  test("every entry of exports is there, with types, and can be imported; nothing else can", async () => {
    for (const target of Object.values(manifest().exports))
      for (const path of typeof target === "string" ? [target] : Object.values(target))
        expect(existsSync(inPackage(path)), path).toBe(true);
    const loading = [...entries(), "qudo/dist/qudo.js"].map((entry) => {
      const json = entry.endsWith(".json") ? `, { with: { type: "json" } }` : "";
      return `${JSON.stringify(entry)}: await import(${JSON.stringify(entry)}${json}).then(() => "ok", (e) => e.code)`;
    });
    writeFileSync(
      join(installed.folder, "entries.mjs"),
      `console.log(JSON.stringify({ ${loading.join(", ")} }));`,
    );
    const { stdout } = await installed.node("entries.mjs");
    expect(JSON.parse(stdout)).toEqual({
      ...Object.fromEntries(entries().map((entry) => [entry, "ok"])),
      "qudo/dist/qudo.js": "ERR_PACKAGE_PATH_NOT_EXPORTED",
    });
  });
});

/** As users have it: no special libraries, and our declarations are checked too. */
async function typecheck(name: string, file: string, options: object): Promise<void> {
  const compilerOptions = {
    target: "es2022",
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: ["node"],
    typeRoots: [join(ROOT, "node_modules", "@types")],
    ...options,
  };
  const config = join(installed.folder, `tsconfig.${name}.json`);
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const told = await run(process.execPath, [tsc, "-p", config], installed.folder);
  expect(told).toEqual({ code: 0, stdout: "", stderr: "" });
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1_000).toFixed(1)} kB`;
}

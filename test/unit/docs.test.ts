/** What the pages point at is there: laws by id, files by path, every row of the two older systems. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { laws } from "../../src/testing/index.js";

const PAGES = [
  "README.md",
  "docs/internals.md",
  "docs/parity.md",
  "CONTRIBUTING.md",
  "docs/cli.md",
  "docs/monitor.md",
  "docs/platforms.md",
  "docs/writing-a-driver.md",
  "docs/sqlite.md",
  "docs/plain-sql.md",
  "docs/postgres.md",
  "docs/mysql.md",
  "docs/transactions.md",
  "docs/tasks.md",
  "docs/limits.md",
  "docs/hooks.md",
  "docs/serializers.md",
  "docs/plugins.md",
  "docs/operating.md",
  "docs/processes.md",
  "docs/testing.md",
];
const TOPICS = new Set(laws.map(({ id }) => id.split(".")[0]));
const read = (page: string): string => readFileSync(page, "utf8");

/** Ids as pages write them: `fence.resend`, or `fence.*` and `look.counts*` for several. */
function lawsNamed(page: string): string[] {
  const quoted = [...read(page).matchAll(/`([a-z]+\.[a-z*-]+)`/g)].map(([, name]) => name!);
  return quoted.filter((name) => TOPICS.has(name.split(".")[0]!));
}

describe.each(PAGES)("%s", (page) => {
  test("names laws that exist", () => {
    const missing = lawsNamed(page).filter((name) => {
      const [start, ...rest] = name.split("*");
      return !laws.some(({ id }) => (rest.length > 0 ? id.startsWith(start!) : id === name));
    });
    expect(missing).toEqual([]);
  });

  test("names files and folders that exist", () => {
    const named = [...read(page).matchAll(/`((?:src|test|docs|bench|examples)\/[\w./-]+)`/g)];
    expect(named.map(([, path]) => path!).filter((path) => !existsSync(path))).toEqual([]);
  });
});

test("the README shows laws and files at all", () => {
  expect(lawsNamed("README.md").length).toBeGreaterThan(4);
});

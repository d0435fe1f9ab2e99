/** The pages of servers name every option and parameter there is, and give no address that would be refused. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ERROR_CODES } from "../../src/index.js";
import { checkDatabase } from "../../src/storage/check.js";
import { refusal } from "./support/refusal.js";

/** What a refusal lists behind "It knows:". */
function known(database: unknown): string[] {
  const list = /It knows: ([^.]+)\./.exec(refusal(() => checkDatabase(database)).message)![1]!;
  return list.split(", ");
}

const ADDRESS = /(?:sqlite|postgres|postgresql|mysql|mariadb):\/\/[^\s"'`|]+/g;

const pages = ["README.md", "docs/postgres.md", "docs/mysql.md", "docs/cli.md"];
const read = (page: string): string => readFileSync(page, "utf8");

describe.each([
  ["docs/postgres.md", "postgres://u@h/d"],
  ["docs/mysql.md", "mysql://u@h/d"],
])("%s", (page, url) => {
  const text = read(page);

  it("names every option", () => {
    const options = known({ url, nobodys: 1 });
    expect(options.length).toBeGreaterThan(7);
    expect(options.filter((name) => !text.includes(`| \`${name}\` |`))).toEqual([]);
  });

  it("names every parameter", () => {
    const parameters = known(`${url}?nobodys=1`);
    expect(parameters.length).toBeGreaterThan(9);
    expect(parameters.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  it("names no code that does not exist", () => {
    const codes = [...text.matchAll(/QUDO_[A-Z_]+/g)].map(([code]) => code);
    expect(codes.length).toBeGreaterThan(5);
    const others = codes.filter((code) => !Object.keys(ERROR_CODES).includes(code));
    expect([...new Set(others)]).toEqual(["QUDO_DATABASE"]);
  });
});

it.each(pages)("%s gives addresses that can be", (page) => {
  const addresses = [...read(page).matchAll(ADDRESS)]
    .map(([address]) => address)
    // What stands for any address at all, or for parts of one.
    .filter((address) => !/…|name=value/.test(address) && !address.includes(":password@host:"));
  expect(addresses.length).toBeGreaterThan(page === "docs/cli.md" ? 0 : 2);
  for (const address of addresses) expect(() => checkDatabase(address), address).not.toThrow();
});

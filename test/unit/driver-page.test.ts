/** docs/writing-a-driver.md speaks of every operation of the contract, of nothing else, and its code compiles. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const page = readFileSync(join(ROOT, "docs/writing-a-driver.md"), "utf8");

/** Members of an interface of the contract, in its order. */
function membersOf(name: string): string[] {
  const text = readFileSync(join(ROOT, "src/storage/driver.ts"), "utf8");
  const tree = ts.createSourceFile("driver.ts", text, ts.ScriptTarget.Latest, true);
  const found = tree.statements.find(
    (node) => ts.isInterfaceDeclaration(node) && node.name.text === name,
  ) as ts.InterfaceDeclaration | undefined;
  return found?.members.map((member) => member.name!.getText()) ?? [];
}

/** Operations that a section explains: `- **`name`** — what it must guarantee`. */
function explained(section: string): string[] {
  const text = page.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  return [...text.matchAll(/^- \*\*`(\w+)`\*\* — \S+ \S+/gm)].map(([, name]) => name!);
}

describe.each([
  ["Driver", "The contract, group by group"],
  ["UserTransaction", "In the user's own transaction"],
])("%s", (name, section) => {
  test("has members", () => expect(membersOf(name).length).toBeGreaterThan(1));

  test("is explained whole, and nothing that is not there", () => {
    expect(explained(section).toSorted()).toEqual(membersOf(name).toSorted());
  });
});

test("the order of building leaves no operation out", () => {
  const order = page.split(/^## /m).find((part) => part.startsWith("In which order\n"))!;
  const operations = membersOf("Driver").filter((name) => !/^(?:label|capabilities)$/.test(name));
  const optional = ["keepAlive", "backup", "compact", "subscribe", "listens", "grants", "parts"];
  const missing = operations.filter((name) => !order.includes(`\`${name}\``));
  expect(missing.toSorted()).toEqual(optional.toSorted());
});

test("its code compiles against the contract", () => {
  const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
  expect(blocks).toHaveLength(2);
  const files = new Map(blocks.map((code, i) => [join(ROOT, `block-${i}.ts`), code]));
  const { config } = ts.readConfigFile(join(ROOT, "tsconfig.json"), (path) =>
    ts.sys.readFile(path),
  );
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const host = ts.createCompilerHost(options);
  const [read, exists] = [host.readFile, host.fileExists];
  host.readFile = (path) => files.get(path) ?? read(path);
  host.fileExists = (path) => files.has(path) || exists(path);
  // A sketch has parts that only the rest of it would use.
  const program = ts.createProgram([...files.keys()], { ...options, noUnusedLocals: false }, host);
  const wrong = [...files.keys()].flatMap((path) => [
    ...program.getSyntacticDiagnostics(program.getSourceFile(path)),
    ...program.getSemanticDiagnostics(program.getSourceFile(path)),
  ]);
  expect(
    wrong.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")),
  ).toEqual([]);
}, 60_000);

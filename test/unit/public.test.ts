/** What a user's editor shows: everything that can be imported says what it is, every option what it does. */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Source of each entry of package.json's exports that has types. */
const ENTRIES = Object.values(packageJson.exports)
  .filter((entry) => typeof entry !== "string")
  .map(({ default: path }) => path.replace(/^\.\/dist\/(.*)\.js$/, `${ROOT}src/$1.ts`));

interface Public {
  /** "Qudo", "EnqueueOptions.delay". */
  readonly name: string;
  readonly doc: string;
  readonly at: string;
}

/** Every export; of classes the public methods too, of options each one. */
function publicOf(files: readonly string[], host?: ts.CompilerHost): Public[] {
  const options = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.NodeNext, strict: true };
  const program = ts.createProgram(files, { ...options, skipLibCheck: true }, host);
  const checker = program.getTypeChecker();
  const found = new Map<ts.Symbol, Public>();
  const add = (symbol: ts.Symbol, name: string): void => {
    const at = symbol.declarations?.[0]?.getSourceFile().fileName ?? "";
    const doc = ts.displayPartsToString(symbol.getDocumentationComment(checker));
    found.set(symbol, { name, doc, at: relative(ROOT, at) });
  };
  for (const file of files) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!;
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol =
        exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      add(symbol, symbol.name);
      for (const member of symbol.members?.values() ?? [])
        if (wantsDoc(symbol, member)) add(member, `${symbol.name}.${member.name}`);
    }
  }
  return [...found.values()];
}

function wantsDoc(owner: ts.Symbol, member: ts.Symbol): boolean {
  if (owner.name.endsWith("Options")) return (member.flags & ts.SymbolFlags.Property) !== 0;
  const isMethod = (member.flags & ts.SymbolFlags.Method) !== 0;
  const [declaration] = member.declarations ?? [];
  // Well-known symbols mean what they mean everywhere.
  if (!isMethod || declaration === undefined || member.name.startsWith("__@")) return false;
  const isPrivate = ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private;
  return owner.flags & ts.SymbolFlags.Class ? !isPrivate : false;
}

const STOP_WORDS = new Set(["a", "an", "the", "of", "this", "is", "it"]);
const wordsOf = (text: string): string[] => text.toLowerCase().match(/[a-zµ0-9]+/g) ?? [];

/** A sentence that says more than the name does. */
function hasMeaning({ name, doc }: Public): boolean {
  const named = new Set(wordsOf(name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ")));
  const said = wordsOf(doc).filter((word) => !named.has(word) && !STOP_WORDS.has(word));
  return said.length >= 2 && /[.:…)"”`]\s*$/.test(doc);
}

test("everything public says in words what it means", () => {
  const all = publicOf(ENTRIES);
  expect(all.length).toBeGreaterThan(80);
  expect(all.some(({ name }) => name === "Qudo.enqueue")).toBe(true);
  expect(all.some(({ name }) => name === "EnqueueOptions.delay")).toBe(true);
  const silent = all.filter((one) => !hasMeaning(one));
  expect(silent.map(({ name, doc, at }) => `${at}: ${name}: ${JSON.stringify(doc)}`)).toEqual([]);
}, 60_000);

test("the check sees what is missing, and what only repeats a name", () => {
  const text = `
    /** What is public. */
    export interface AOptions {
      /** Seconds between two looks. */
      every: number;
      wait: number;
    }
    /** The queue name. */
    export const queueName = "";
    export class Bare {
      /** Ends it for good. */
      stop(): void {}
      start(): void {}
      private hidden(): void {}
    }
  `;
  const host = ts.createCompilerHost({});
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, target, ...rest) =>
    name === "/a.ts" ? ts.createSourceFile(name, text, target) : read(name, target, ...rest);
  const silent = publicOf(["/a.ts"], host).filter((one) => !hasMeaning(one));
  expect(silent.map(({ name }) => name)).toEqual([
    "AOptions.wait",
    "queueName",
    "Bare",
    "Bare.start",
  ]);
}, 60_000);

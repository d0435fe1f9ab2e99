/** Source files as the tests of the architecture see them: what they import, say and mention. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const SRC = fileURLToPath(new URL("../../../src/", import.meta.url));

export interface Module {
  /** Below src, with slashes: "core/ids.ts". */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** Whether it passes on a whole module (`export *`). */
  readonly exportsAll: boolean;
  /** String and template literals, `x` in place of what is filled in. Comments and types are none. */
  readonly texts: readonly string[];
  /** Names and dotted names that code uses: "setTimeout", "Date.now", "new Date()". */
  readonly mentions: ReadonlySet<string>;
  readonly tree: ts.SourceFile;
}

export interface Import {
  readonly specifier: string;
  /** Leaves nothing behind when the types are gone. */
  readonly typeOnly: boolean;
  /** Names as the other module exports them; "*" for all of it. */
  readonly names: readonly string[];
}

export function readSource(): Module[] {
  return readdirSync(SRC, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .sort()
    .map((path) => parseModule(path.replaceAll("\\", "/"), readFileSync(join(SRC, path), "utf8")));
}

export function parseModule(path: string, text: string): Module {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found = {
    imports: [] as Import[],
    exportsAll: false,
    texts: [] as string[],
    mentions: new Set<string>(),
  };
  walk(tree, (node) => {
    const imported = importOf(node);
    if (imported !== null) found.imports.push(imported);
    const said = textOf(node);
    if (said !== null) found.texts.push(said);
    const mentioned = mentionOf(node);
    if (mentioned !== null) found.mentions.add(mentioned);
    if (ts.isExportDeclaration(node) && !isNamed(node)) found.exportsAll = true;
  });
  return { path, lines: text.trimEnd().split("\n").length, tree, ...found };
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

function isNamed(node: ts.ExportDeclaration): boolean {
  return node.exportClause !== undefined && ts.isNamedExports(node.exportClause);
}

function importOf(node: ts.Node): Import | null {
  if (ts.isImportDeclaration(node)) return statement(node.moduleSpecifier, node.importClause);
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined)
    return exported(node.moduleSpecifier, node);
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
    return imported(node.argument.literal, true, ["*"]);
  if (ts.isExternalModuleReference(node)) return imported(node.expression, false, ["*"]);
  // import("…"), require("…"); one whose name is computed cannot be followed.
  if (ts.isCallExpression(node) && isLoader(node.expression))
    return imported(node.arguments[0], false, ["*"]);
  return null;
}

function isLoader(callee: ts.Expression): boolean {
  return (
    callee.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(callee) && callee.text === "require")
  );
}

function imported(from: ts.Node | undefined, typeOnly: boolean, names: string[]): Import | null {
  return from !== undefined && ts.isStringLiteralLike(from)
    ? { specifier: from.text, typeOnly, names }
    : null;
}

function statement(from: ts.Expression, clause: ts.ImportClause | undefined): Import | null {
  if (clause === undefined) return imported(from, false, []);
  const typesOnly = clause.phaseModifier === ts.SyntaxKind.TypeKeyword;
  const names = clause.name === undefined ? [] : ["default"];
  const bindings = clause.namedBindings;
  if (bindings === undefined || ts.isNamespaceImport(bindings))
    return imported(from, typesOnly, bindings === undefined ? names : [...names, "*"]);
  return fromElements(from, typesOnly, bindings.elements, names);
}

function exported(from: ts.Expression, node: ts.ExportDeclaration): Import | null {
  const clause = node.exportClause;
  if (clause === undefined || ts.isNamespaceExport(clause))
    return imported(from, node.isTypeOnly, ["*"]);
  return fromElements(from, node.isTypeOnly, clause.elements, []);
}

function fromElements(
  from: ts.Expression,
  typesOnly: boolean,
  elements: readonly (ts.ImportSpecifier | ts.ExportSpecifier)[],
  others: string[],
): Import | null {
  const allTypes =
    others.length === 0 && elements.length > 0 && elements.every((e) => e.isTypeOnly);
  const names = elements.map((element) => (element.propertyName ?? element.name).text);
  return imported(from, typesOnly || allTypes, [...others, ...names]);
}

function textOf(node: ts.Node): string | null {
  if (ts.isStringLiteralLike(node)) return ts.isLiteralTypeNode(node.parent) ? null : node.text;
  if (!ts.isTemplateExpression(node)) return null;
  return node.head.text + node.templateSpans.map((span) => `x${span.literal.text}`).join("");
}

function mentionOf(node: ts.Node): string | null {
  if (ts.isPropertyAccessExpression(node)) return `${node.expression.getText()}.${node.name.text}`;
  if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression))
    return `${node.expression.getText()}.${node.argumentExpression.text}`;
  if (ts.isNewExpression(node) && (node.arguments ?? []).length === 0)
    return `new ${node.expression.getText()}()`;
  if (ts.isIdentifier(node) && isUse(node)) return node.text;
  return null;
}

/** Not the name of a property, of a parameter, or of what is being declared. */
function isUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isTypeReferenceNode(parent) || ts.isQualifiedName(parent)) return false;
  return !("name" in parent && parent.name === node) || ts.isShorthandPropertyAssignment(parent);
}

/**
 * The import arrows: who may know whom. A room is a folder (or a file) with a list of what it may import; what is not
 * listed is forbidden, and a file that belongs to no room is a problem, so that a new folder has to say what it is.
 */
import { posix } from "node:path";
import ts from "typescript";
import { lineOf, walk, type Problem, type TextFile, type Tree } from "./tree.js";

interface Room {
  /** Path prefix; a folder ends with "/". The longest prefix that fits a file wins. */
  readonly at: string;
  /** Rooms by prefix, as far as values go. A room may always import from itself. */
  readonly imports: readonly string[];
  /** Rooms inside of those, or of this one, that it may not import all the same. */
  readonly except?: readonly string[];
  /** Rooms of which only types may be imported. */
  readonly types?: readonly string[];
  /** npm packages: true for whatever the workspace declares, or the few that are allowed. Default: none. */
  readonly packages?: true | readonly string[];
  /** Modules of Node's own: true for any, or the few that are allowed. Default: none. */
  readonly node?: true | readonly string[];
  /** May it reach into another workspace by path, past its public face? Default: no. */
  readonly byPath?: boolean;
}

const C = "clients/src/";
const E = "engine/src/";
const SDK_TESTING = "sdk/src/testing/";
const CONTRACTS = [`${C}ports/`, `${C}errors/`, `${C}topics.ts`, `${C}topic-rules.ts`, "schemas/"];

export const ROOMS: readonly Room[] = [
  { at: "schemas/src/", imports: [], packages: true },

  { at: `${C}errors/`, imports: ["schemas/"] },
  { at: `${C}ports/`, imports: ["schemas/", `${C}errors/`] },
  { at: `${C}topics.ts`, imports: ["schemas/"], types: [`${C}ports/`] },
  { at: `${C}topic-rules.ts`, imports: [`${C}errors/`], types: [`${C}ports/`] },
  { at: `${C}sticky-assignment.ts`, imports: [] },
  { at: `${C}system-clock.ts`, imports: [`${C}ports/`] },
  { at: `${C}registry/`, imports: CONTRACTS, packages: true, node: true },
  { at: `${C}schema-registry/`, imports: CONTRACTS, node: true },
  { at: `${C}send/`, imports: [...CONTRACTS, `${C}registry/`], packages: true, node: true },
  { at: `${C}dispatch/`, imports: [...CONTRACTS, `${C}registry/`, `${C}send/`], packages: true, node: true },
  { at: `${C}kafka/`, imports: [...CONTRACTS, `${C}sticky-assignment.ts`], packages: true, node: true },
  { at: `${C}index.ts`, imports: [C] },

  { at: "sdk/src/", imports: ["schemas/", C], except: [SDK_TESTING], packages: true, node: true },
  // The one part of the SDK that brings an engine along (ADR 0018): for tests alone.
  {
    at: SDK_TESTING,
    imports: ["schemas/", C, "sdk/src/", `${E}testing/`],
    packages: true,
    node: true,
  },

  { at: `${E}core/`, imports: [`${C}errors/`, "schemas/"] },
  { at: `${E}ports/`, imports: ["schemas/", C], types: [`${E}core/`] },
  {
    at: `${E}partition/`,
    imports: ["schemas/", C, `${E}ports/`, `${E}core/`],
    packages: ["sorted-btree", "lru-cache"],
    node: ["node:module"],
  },
  { at: `${E}adapters/`, imports: ["schemas/", C, `${E}ports/`], packages: true, node: true },
  { at: `${E}history/`, imports: ["schemas/", C, `${E}ports/`], packages: true, node: true },
  { at: `${E}access/`, imports: ["schemas/", C], packages: ["yaml", "zod"], node: true },
  {
    at: `${E}gateway/`,
    imports: ["schemas/", C, `${E}ports/`, `${E}history/`, `${E}access/`],
    types: [`${E}config/`, `${E}event-schemas/`],
    packages: true,
    node: true,
  },
  {
    at: `${E}ownership/`,
    imports: ["schemas/", C, `${E}ports/`],
    types: [`${E}partition/`, `${E}history/`],
  },
  {
    at: `${E}sources/`,
    imports: ["schemas/", C, `${E}ports/`, `${E}config/source-config.ts`, `${E}event-schemas/`],
    packages: ["@kafkajs/confluent-schema-registry", "lru-cache"],
  },
  { at: `${E}event-schemas/`, imports: ["schemas/", C], packages: ["ajv", "lru-cache"], node: ["node:module"] },
  { at: `${E}world/`, imports: [C, "schemas/", `${E}ports/`, `${E}adapters/`], types: [`${E}config/`], node: true },
  { at: `${E}config/`, imports: [C, "schemas/"], packages: true, node: true },
  { at: `${E}cli/`, imports: [E, C, "schemas/"], packages: true, node: true },
  { at: `${E}testing/`, imports: [E, C, "schemas/"], packages: ["ulid"], node: ["node:timers"] },
  { at: `${E}main.ts`, imports: [E, C, "schemas/"], packages: true, node: true },
  { at: `${E}index.ts`, imports: [E, C, "schemas/"] },

  {
    at: "engine/sim/",
    imports: ["schemas/", C, `${E}core/`, `${E}ports/`, `${E}partition/`, `${E}adapters/memory/`],
    packages: true,
    node: true,
  },
  {
    at: "engine/test/",
    imports: [E, C, "engine/sim/", "schemas/", "scripts/kafka/"],
    packages: true,
    node: true,
    byPath: true,
  },
  // Kafka is judged by the same contract suites as the engine's logs; tests of failover end brokers and bring them back.
  {
    at: "clients/test/",
    imports: [C, "schemas/", "engine/test/contracts/", `${E}adapters/memory/`, "scripts/kafka/"],
    packages: true,
    node: true,
    byPath: true,
  },
  { at: "schemas/test/", imports: ["schemas/"], packages: true, node: true },
  // Workers over Kafka are tried on a log in memory, and against engines on a broker.
  {
    at: "sdk/test/",
    imports: ["sdk/", "schemas/", C, `${E}adapters/memory/`, `${E}testing/`, "scripts/kafka/"],
    packages: true,
    node: true,
    byPath: true,
  },
  { at: "examples/", imports: ["sdk/"], except: [SDK_TESTING], packages: true, node: true },
  { at: "bench/", imports: ["engine/", "clients/", "sdk/", "schemas/"], packages: true, node: true, byPath: true },
  {
    at: "e2e/",
    imports: ["engine/", "clients/", "sdk/", "schemas/", "examples/", "scripts/kafka/", "scripts/chart/"],
    packages: true,
    node: true,
    byPath: true,
  },
  // Run in pods by the chart, from the image.
  { at: "charts/", imports: ["sdk/"], packages: true, node: true },
  { at: "scripts/", imports: ["engine/", "clients/", "schemas/"], packages: true, node: true, byPath: true },
];

/** Tests of an example play it against the engine. */
const EXAMPLE_TEST: Room = { at: "examples/*/test/", imports: ["engine/", "sdk/"], packages: true, node: true };

/** Our packages by name; `@eddy/sdk/testing` is the one part of the SDK that brings the core along. */
const OUR_PACKAGES: readonly (readonly [name: string, folder: string])[] = [
  ["@eddy/schemas", "schemas/"],
  ["@eddy/clients/errors", "clients/src/errors/codes.ts"],
  ["@eddy/clients/kafka", "clients/src/kafka/index.ts"],
  ["@eddy/clients", "clients/src/index.ts"],
  ["@eddy/engine/testing", "engine/src/testing/index.ts"],
  ["@eddy/engine", "engine/src/index.ts"],
  ["@eddy/sdk/testing", "sdk/src/testing/index.ts"],
  ["@eddy/sdk", "sdk/src/index.ts"],
];

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly line: number;
}

export function importsOf(source: ts.SourceFile): readonly Import[] {
  const found: Import[] = [];
  const add = (node: ts.Node, specifier: ts.Node | undefined, typeOnly: boolean): void => {
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) {
      found.push({ specifier: specifier.text, typeOnly, line: lineOf(node) });
    }
  };
  walk(source, (node) => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, isTypeOnly(node.importClause));
    else if (ts.isExportDeclaration(node)) add(node, node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node, node.argument.literal, true);
    else if (ts.isCallExpression(node) && isLoader(node.expression)) add(node, node.arguments[0], false);
  });
  return found;
}

/** `import type {}`, or every name in the braces marked `type`. */
function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const { namedBindings } = clause;
  if (clause.name !== undefined || namedBindings === undefined || !ts.isNamedImports(namedBindings)) return false;
  return namedBindings.elements.length > 0 && namedBindings.elements.every((element) => element.isTypeOnly);
}

function isLoader(callee: ts.Expression): boolean {
  return callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === "require");
}

function roomOf(path: string): Room | undefined {
  if (/^examples\/[^/]+\/test\//.test(path)) return EXAMPLE_TEST;
  let best: Room | undefined;
  for (const room of ROOMS) {
    if (path.startsWith(room.at) && (best === undefined || room.at.length > best.at.length)) best = room;
  }
  return best;
}

const ROOT_FILE = /^[^/]+$/;

export function arrows(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const file of tree.code) {
    if (ROOT_FILE.test(file.path)) continue;
    const room = roomOf(file.path);
    if (room === undefined) {
      const message = "belongs to no room: say in scripts/tidy/arrows.ts what this folder may import";
      problems.push({ rule: "arrows", path: file.path, line: 0, message });
      continue;
    }
    for (const found of importsOf(tree.parse(file))) {
      const message = judge(file, room, found);
      if (message !== null) problems.push({ rule: "arrows", path: file.path, line: found.line, message });
    }
  }
  return problems;
}

/** @returns why the import is forbidden, or null. */
function judge(file: TextFile, room: Room, { specifier, typeOnly }: Import): string | null {
  if (specifier.startsWith("node:")) {
    if (room.node === true || room.node?.includes(specifier) === true) return null;
    return `${room.at} must not import ${specifier}: it stays free of I/O`;
  }
  if (specifier.startsWith(".")) {
    const target = posix.normalize(posix.join(posix.dirname(file.path), specifier)).replace(/\.js$/, ".ts");
    if (room.byPath !== true && workspaceOf(target) !== workspaceOf(file.path)) {
      return `reaches into another workspace by path (${specifier}): import the package by its name`;
    }
    return allowed(room, target, typeOnly, specifier);
  }
  for (const [name, folder] of OUR_PACKAGES) {
    if (specifier === name || specifier.startsWith(`${name}/`)) return allowed(room, folder, typeOnly, specifier);
  }
  if (room.packages === true) return null;
  const packageName = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  if (room.packages?.includes(packageName) === true) return null;
  return `${room.at} must not import the package ${packageName}`;
}

function allowed(room: Room, target: string, typeOnly: boolean, specifier: string): string | null {
  const own = room.at.replace("*", target.split("/")[1] ?? "");
  const fits = (prefix: string): boolean => target.startsWith(prefix);
  const isExcepted = room.except?.some(fits) === true;
  if (target.startsWith(own) && !isExcepted) return null;
  if (room === EXAMPLE_TEST && target.startsWith(own.replace(/test\/$/, ""))) return null;
  if (room.imports.some(fits) && !isExcepted) return null;
  if (room.types?.some(fits) === true) {
    return typeOnly ? null : `${room.at} may import types alone from ${specifier}: write \`import type\``;
  }
  return `${room.at} must not import ${specifier}: the arrows are in scripts/tidy/arrows.ts`;
}

function workspaceOf(path: string): string {
  const [first = "", second = ""] = path.split("/");
  return first === "examples" ? `${first}/${second}` : first;
}

/**
 * Compiles the ```ts blocks of documents against the sources, each as a module of its own. A block that is marked
 * `file=client.ts` can be imported by other blocks of the same document as `./client.js`; one that is marked
 * `continues` goes on where the block before it ended.
 */
import { join } from "node:path";
import ts from "typescript";
import { blocksOf } from "./markdown.js";

export interface Document {
  /** Relative to the repository. */
  readonly path: string;
  readonly text: string;
}

interface Snippet {
  readonly document: string;
  readonly code: string;
  /** For each line of the code, its line in the document. */
  readonly lines: readonly number[];
}

/** @returns one line for each error: `README.md:12 Type ...`. */
export function snippetErrors(root: string, documents: readonly Document[]): readonly string[] {
  const snippets = new Map<string, Snippet>();
  for (const document of documents) {
    const folder = join(root, ".cache/snippets", document.path.replace(/\W+/g, "-"));
    for (const [name, snippet] of snippetsOf(document)) snippets.set(join(folder, name), snippet);
  }
  const program = compile(root, snippets);
  return [...snippets].flatMap(([file, snippet]) => errorsOf(program, file, snippet));
}

function snippetsOf({ path, text }: Document): ReadonlyMap<string, Snippet> {
  const snippets = new Map<string, Snippet>();
  let before: Snippet | undefined;
  for (const [i, { language, options, code, line }] of blocksOf(text).entries()) {
    if (language !== "ts" && language !== "typescript") continue;
    const start = options.has("continues") ? before : undefined;
    const lines = code.split("\n").map((_, at) => line + at);
    before = {
      document: path,
      code: start === undefined ? code : `${start.code}\n${code}`,
      lines: [...(start?.lines ?? []), ...lines],
    };
    snippets.set(options.get("file") ?? `block-${i}.ts`, before);
  }
  return snippets;
}

function errorsOf(program: ts.Program, file: string, snippet: Snippet): readonly string[] {
  const source = program.getSourceFile(file);
  if (source === undefined) throw new Error(`${file} is no part of the program`);
  // What is wrong in the sources that a snippet uses is said by the compiler's own run.
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  return found.map(({ start, messageText }) => {
    const { line } = source.getLineAndCharacterOfPosition(start ?? 0);
    const message = ts.flattenDiagnosticMessageText(messageText, " ");
    return `${snippet.document}:${snippet.lines[line] ?? 0} ${message}`;
  });
}

function compile(root: string, snippets: ReadonlyMap<string, Snippet>): ts.Program {
  const config = ts.readConfigFile(join(root, "tsconfig.check.json"), (path) => ts.sys.readFile(path));
  const parsed = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const options: ts.CompilerOptions = {
    ...parsed.options,
    // A snippet shows a thing without having to use it.
    noUnusedLocals: false,
    noUnusedParameters: false,
    moduleDetection: ts.ModuleDetectionKind.Force,
    incremental: false,
  };
  const host = ts.createCompilerHost(options);
  const real = ts.createCompilerHost(options);
  host.fileExists = (path) => snippets.has(path) || real.fileExists(path);
  host.readFile = (path) => snippets.get(path)?.code ?? real.readFile(path);
  host.directoryExists = (path) => {
    if ([...snippets.keys()].some((file) => file.startsWith(`${path}/`))) return true;
    return real.directoryExists?.(path) ?? true;
  };
  host.getSourceFile = (path, version, ...rest) => {
    const snippet = snippets.get(path);
    if (snippet === undefined) return real.getSourceFile(path, version, ...rest);
    return ts.createSourceFile(path, snippet.code, version, true);
  };
  return ts.createProgram({ rootNames: [...snippets.keys()], options, host });
}

/**
 * Compiles the ```ts blocks of documents against the sources, each as a module of its own. A block that is marked
 * `file=client.ts` can be imported by later blocks of the same document as `./client.js`.
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
  /** Line of the document before the snippet's first one. */
  readonly lineBefore: number;
  readonly code: string;
}

/** @returns one line for each error: `README.md:12 Type ...`. */
export function snippetErrors(root: string, documents: readonly Document[]): readonly string[] {
  const snippets = new Map<string, Snippet>();
  for (const { path, text } of documents) {
    const folder = join(root, ".cache/snippets", path.replace(/\W+/g, "-"));
    for (const [i, { language, options, code, line }] of blocksOf(text).entries()) {
      if (language !== "ts" && language !== "typescript") continue;
      const name = options.get("file") ?? `block-${i}.ts`;
      snippets.set(join(folder, name), { document: path, lineBefore: line - 1, code });
    }
  }
  const program = compile(root, snippets);
  const errors: string[] = [];
  for (const diagnostic of ts.getPreEmitDiagnostics(program)) {
    const snippet = diagnostic.file === undefined ? undefined : snippets.get(diagnostic.file.fileName);
    // What is wrong in the sources is said by the compiler's own run.
    if (snippet === undefined || diagnostic.file === undefined) continue;
    const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ");
    errors.push(`${snippet.document}:${snippet.lineBefore + line + 1} ${message}`);
  }
  return errors;
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

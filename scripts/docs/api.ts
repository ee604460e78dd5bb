/**
 * The API documentation of the SDK, generated from its docstrings: Markdown, one page per entry point. A public symbol
 * without a docstring is a problem, and so is a link in a docstring that leads nowhere.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Application, LogLevel, Logger, type TypeDocOptions } from "typedoc";
import type { PluginOptions } from "typedoc-plugin-markdown";

/** What users import: each is a page, named by the `@module` that its file says. */
const ENTRY_POINTS = ["sdk/src/index.ts", "sdk/src/testing/index.ts"];

export const API_FOLDER = "docs/api";

/** @returns file name to text of the Markdown in a folder; nothing where there is no such folder. */
export function pagesIn(folder: string): ReadonlyMap<string, string> {
  if (!existsSync(folder)) return new Map();
  const names = readdirSync(folder).filter((name) => name.endsWith(".md"));
  return new Map(names.sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

export interface ApiDocs {
  /** File name to Markdown. */
  readonly pages: ReadonlyMap<string, string>;
  /** One sentence each. */
  readonly problems: readonly string[];
}

class ProblemLogger extends Logger {
  readonly problems: string[] = [];

  override log(message: string, level: LogLevel): void {
    if (level >= LogLevel.Warn) this.problems.push(message);
  }
}

/** @param root the repository. */
export async function apiDocs(root: string): Promise<ApiDocs> {
  // The only place that it may write to: typedoc empties its output folder first, which is `docs/` where nobody says.
  const folder = mkdtempSync(join(tmpdir(), "eddy-api-"));
  try {
    return await generate(root, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function generate(root: string, folder: string): Promise<ApiDocs> {
  const options = {
    out: folder,
    logLevel: "Warn",
    cleanOutputDir: false,
    plugin: ["typedoc-plugin-markdown"],
    entryPoints: ENTRY_POINTS.map((path) => join(root, path)),
    tsconfig: join(root, "scripts/docs/tsconfig.api.json"),
    name: "The API of the SDK",
    pageTitleTemplates: { module: ({ name }) => (name === "sdk" ? "@eddy/sdk" : `@eddy/sdk/${name}`) },
    readme: "none",
    router: "module",
    // A commit changes no page by itself, and types are checked elsewhere.
    disableSources: true,
    disableGit: true,
    skipErrorChecking: true,
    excludeInternal: true,
    excludePrivate: true,
    excludeExternals: true,
    hidePageHeader: true,
    hideBreadcrumbs: true,
    hideGenerator: true,
    requiredToBeDocumented: ["Enum", "Variable", "Function", "Class", "Interface", "TypeAlias", "Method", "Accessor"],
    // A shape that a type is compared with.
    intentionallyNotDocumented: ["sdk.Jsonify.__type.toJSON"],
    validation: { notExported: false, invalidLink: true, invalidPath: true, notDocumented: true },
  } satisfies Partial<TypeDocOptions> & PluginOptions;
  const app = await Application.bootstrapWithPlugins(options);
  const logger = new ProblemLogger();
  app.logger = logger;
  const project = await app.convert();
  if (project === undefined) return { pages: new Map(), problems: logger.problems };
  app.validate(project);
  await app.outputs.writeOutput({ name: "markdown", path: folder }, project);
  return { pages: pagesIn(folder), problems: logger.problems };
}

import { join } from "node:path";
import { expect, it } from "vitest";
import ts from "typescript";

const root = join(import.meta.dirname, "../../..");

/** What the compiler says of these files, with the options that all our code is checked with. */
function problemsOf(paths: readonly string[]): string[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.check.json"), ts.sys.readFile.bind(ts.sys)) as {
    config: object;
  };
  const parsed = ts.parseJsonConfigFileContent({ ...config, files: [], include: [] }, ts.sys, root);
  const { tsBuildInfoFile: _, ...options } = parsed.options;
  const program = ts.createProgram({
    rootNames: paths.map((path) => join(root, "sdk/test", path)),
    options: { ...options, incremental: false },
  });
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1;
    const path = file?.fileName.slice(root.length + 1) ?? "";
    return `${path}:${line} ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
}

const FILES = ["types/inference.ts", "flows/cart-abandonment.ts", "flows/generate-and-publish.ts"];

it("types are as they should be; mistakes do not compile, the first issue's functions do", { timeout: 120_000 }, () => {
  // Files that are not read say nothing either: the one that is missing shows that this test hears of it. Mistakes are
  // marked with @ts-expect-error, which is itself an error where there is none.
  const problems = problemsOf([...FILES, "types/missing.ts"]);
  expect(problems).toEqual([expect.stringMatching(/missing\.ts' not found/)]);
});

import { join } from "node:path";
import { expect, it } from "vitest";
import ts from "typescript";

const root = join(import.meta.dirname, "../../..");

/** What the compiler says of these files, with the options that all our code is checked with. */
function problemsOf(paths: readonly string[], options: ts.CompilerOptions = {}): string[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.check.json"), ts.sys.readFile.bind(ts.sys)) as {
    config: object;
  };
  const parsed = ts.parseJsonConfigFileContent({ ...config, files: [], include: [] }, ts.sys, root);
  const { tsBuildInfoFile: _, ...checked } = parsed.options;
  const program = ts.createProgram({
    rootNames: paths.map((path) => join(root, "sdk/test", path)),
    options: { ...checked, incremental: false, noUnusedLocals: false, ...options },
  });
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1;
    return `${file?.fileName ?? ""}:${line} ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
}

it("types are inferred as they should be, and mistakes do not compile", { timeout: 120_000 }, () => {
  expect(problemsOf(["types/inference.ts"])).toEqual([]);
});

it("the functions of the first issue compile as they stand", { timeout: 120_000 }, () => {
  expect(problemsOf(["flows/cart-abandonment.ts", "flows/generate-and-publish.ts"])).toEqual([]);
});

it("a mistake is seen by this test", { timeout: 120_000 }, () => {
  expect(problemsOf(["types/inference.ts"], { strictNullChecks: false }).join("\n")).toContain(
    "Unused '@ts-expect-error' directive",
  );
});

/** Each workspace declares the packages that it imports: what works by hoisting alone breaks for users. */
import { importsOf } from "./arrows.js";
import type { Problem, Tree } from "./tree.js";

interface Manifest {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const RULE = "packages";

export function packages(tree: Tree): readonly Problem[] {
  const manifests = new Map<string, Manifest>();
  for (const { path, text } of tree.files) {
    if (path === "package.json") manifests.set("", JSON.parse(text) as Manifest);
    else if (path.endsWith("/package.json"))
      manifests.set(path.slice(0, -"/package.json".length), JSON.parse(text) as Manifest);
  }
  const root = manifests.get("") ?? {};
  const problems: Problem[] = [];
  for (const file of tree.code) {
    const own = manifests.get(workspaceOf(file.path, manifests)) ?? {};
    const shipped = file.path.includes("/src/");
    const declared = new Set([
      ...Object.keys({ ...own.dependencies, ...own.optionalDependencies, ...own.peerDependencies }),
      ...(shipped ? [] : Object.keys({ ...own.devDependencies, ...root.dependencies, ...root.devDependencies })),
    ]);
    if (own.name !== undefined) declared.add(own.name);
    for (const { specifier, line, typeOnly } of importsOf(tree.parse(file))) {
      if (specifier.startsWith(".") || specifier.startsWith("node:")) continue;
      const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
      // Tests meet our packages through their sources.
      if (declared.has(name) || (!shipped && name.startsWith("@eddy/"))) continue;
      if (typeOnly && own.devDependencies?.[`@types/${name}`] !== undefined) continue;
      const where = shipped ? "its package.json does not list as a dependency" : "no package.json lists";
      const message = `imports ${name}, which ${where}`;
      problems.push({ rule: RULE, path: file.path, line, message });
    }
  }
  return problems;
}

function workspaceOf(path: string, manifests: ReadonlyMap<string, Manifest>): string {
  let at = path;
  while (at.includes("/")) {
    at = at.slice(0, at.lastIndexOf("/"));
    if (manifests.has(at)) return at;
  }
  return "";
}

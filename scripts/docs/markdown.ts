/** What the checks of the documents look at: fenced blocks, relative links, and npm scripts that are named. */
export interface Block {
  readonly language: string;
  /** The words after the language: `file=client.ts`. */
  readonly options: ReadonlyMap<string, string>;
  readonly code: string;
  /** Line of the first line of code, counted from 1. */
  readonly line: number;
}

const FENCE = /^(\s*)(`{3,}|~{3,})\s*([\w+-]*)\s*(.*)$/;

export function blocksOf(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; indent: number; language: string; options: Map<string, string>; line: number } | null =
    null;
  let code: string[] = [];
  for (const [i, line] of markdown.split("\n").entries()) {
    const [, indent = "", fence = "", language = "", info = ""] = FENCE.exec(line) ?? [];
    if (open === null) {
      if (fence === "") continue;
      const options = info.split(/\s+/).filter((word) => word !== "");
      open = { fence, indent: indent.length, language, options: new Map(options.map(pairOf)), line: i + 2 };
      code = [];
    } else if (fence.startsWith(open.fence) && language === "" && info === "") {
      const { language: of, options, line: at } = open;
      blocks.push({ language: of, options, code: code.join("\n"), line: at });
      open = null;
    } else code.push(line.slice(Math.min(open.indent, line.length - line.trimStart().length)));
  }
  return blocks;
}

function pairOf(word: string): [string, string] {
  const [name = "", value = ""] = word.split("=", 2);
  return [name, value];
}

export interface Link {
  /** As written, without its `#part`. */
  readonly target: string;
  readonly line: number;
}

/** Links to files of the repository; those with a scheme or to a part of the same page are left out. */
export function linksOf(markdown: string): readonly Link[] {
  const links: Link[] = [];
  let inside = false;
  for (const [i, line] of markdown.split("\n").entries()) {
    if (FENCE.test(line)) inside = !inside;
    if (inside) continue;
    for (const [, to = ""] of line.replace(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)[^)]*\)/g)) {
      const target = to.replace(/#.*$/, "");
      if (target !== "" && !/^[a-z]+:/.test(target)) links.push({ target, line: i + 1 });
    }
  }
  return links;
}

/** Names of npm scripts that the document tells people to run. */
export function npmScriptsOf(markdown: string): readonly string[] {
  const names = [...markdown.matchAll(/\bnpm run (?:-s )?([\w:-]+)/g)].map(([, name = ""]) => name);
  for (const name of ["test", "start"]) if (new RegExp(`\\bnpm ${name}\\b`).test(markdown)) names.push(name);
  return [...new Set(names)];
}

import { describe, expect, it } from "vitest";
import { kinds } from "../tidy/kinds.js";
import { folders, names } from "../tidy/layout.js";
import { found, treeOf } from "./tidy-fixtures.js";

describe("file names", () => {
  it.each(["engine/src/core/Decide.ts", "sdk/src/stepTools.ts", "sdk/src/step_tools.ts", "scripts/utils.ts"])(
    "refuses %s",
    (path) => {
      expect(found(names, treeOf({ [path]: "" }))).toEqual([`${path}:0 names`]);
    },
  );
  it.each(["engine/src/core/run-appliers.ts", "engine/test/core/decide.unit.spec.ts", "eslint.config.mjs", "a/v2.ts"])(
    "allows %s",
    (path) => {
      expect(found(names, treeOf({ [path]: "" }))).toEqual([]);
    },
  );

  const long = "export {};\n".repeat(101);
  it("wants a comment at the head of a source file over 100 lines", () => {
    expect(found(names, treeOf({ "sdk/src/a.ts": long }))).toEqual(["sdk/src/a.ts:1 names"]);
    expect(found(names, treeOf({ "sdk/src/a.ts": `/** Job. */\n${long}` }))).toEqual([]);
    expect(found(names, treeOf({ "sdk/src/a.ts": `#!/usr/bin/env node\n// Job.\n${long}` }))).toEqual([]);
    expect(found(names, treeOf({ "sdk/src/a.ts": long.slice(11) }))).toEqual([]);
  });
});

describe("top-level folders", () => {
  const md =
    "# Eddy\n\n## Folders\n\n- `engine/` the engine\n- `sdk/` what users import\n\n## Rooms\n\n- `core/` pure\n";
  const here = { "engine/a.ts": "", "sdk/a.ts": "", ".ci/run": "" };

  it("agrees when list and tree are the same", () => {
    expect(
      found(folders, treeOf({ ...here, "docs/ARCHITECTURE.md": `${md}## More folders\n- \`docs/\` this\n` })),
    ).toEqual([]);
  });
  it("refuses a folder without a line", () => {
    const tree = treeOf({ ...here, "docs/ARCHITECTURE.md": md });
    expect(folders(tree).map((p) => p.message)).toEqual([expect.stringContaining("docs/")]);
  });
  it("refuses a line without a folder", () => {
    const text = `${md}## Folders, old\n- \`docs/\` this\n- \`dispatcher/\` gone\n`;
    expect(found(folders, treeOf({ ...here, "docs/ARCHITECTURE.md": text }))).toEqual([
      "docs/ARCHITECTURE.md:13 folders",
    ]);
  });
  it("refuses a line that says nothing", () => {
    const text = md.replace("- `sdk/` what users import", "- `sdk/`") + "## Folders\n- `docs/` this\n";
    expect(folders(treeOf({ ...here, "docs/ARCHITECTURE.md": text }))).toHaveLength(1);
  });
  it("refuses a missing ARCHITECTURE.md", () => {
    expect(folders(treeOf(here))).toHaveLength(1);
  });
});

describe("kinds.lock", () => {
  const KEYS = "engine/src/core/state/keys.ts";
  const LOCK = "engine/src/core/state/kinds.lock";
  const keys = [
    'export const KIND_LETTERS = { run: "r" } as const;',
    'const META_KEY = "m";',
    "const t = (x: string) => `t|${String(x)}`;\n",
  ].join("\n");
  const lock = "# Letters.\nr run\nm meta\nt timer-index\n";
  const check = (keysText: string, lockText: string, earlier: string[] = []): readonly string[] =>
    found(kinds, treeOf({ [KEYS]: keysText, [LOCK]: lockText }, { [LOCK]: earlier }));

  it("agrees with keys.ts, a retired letter included", () => {
    expect(check(keys, `${lock}z retired-thing\n`, [lock])).toEqual([]);
  });
  it.each([
    ["a row kind without a line", keys.replace('run: "r"', 'run: "r", wait: "w"'), lock, `${KEYS}:1 kinds`],
    ["an index without a line", `${keys}const q = (x: string) => \`q|\${x}\`;\n`, lock, `${KEYS}:4 kinds`],
    ["a letter under another name", keys.replace("run:", "walk:"), lock, `${KEYS}:1 kinds`],
    ["a moved meta key", keys.replace('"m"', '"n"'), lock, `${KEYS}:2 kinds`],
    ["a letter given twice", keys, `${lock}r rule\n`, `${LOCK}:5 kinds`],
    ["a line without a name", keys, `${lock}z\n`, `${LOCK}:5 kinds`],
  ])("refuses %s", (_name, keysText, lockText, expected) => {
    expect(check(keysText, lockText)).toEqual([expected]);
  });
  it("refuses a committed letter that was removed or renamed", () => {
    expect(check(keys, lock, [`${lock}w wait\n`])).toEqual([`${LOCK}:0 kinds`]);
    expect(check(keys, lock, [lock.replace("t timer-index", "t tombstone")])).toEqual([`${LOCK}:0 kinds`]);
  });
  it("refuses a missing register", () => {
    expect(found(kinds, treeOf({ [KEYS]: keys }))).toEqual([`${LOCK}:0 kinds`]);
  });
});

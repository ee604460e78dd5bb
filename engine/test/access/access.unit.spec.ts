/** Tokens and their file: what is taken, what is refused, and what happens when it changes under a running engine. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RequestError } from "../../../clients/src/errors/request-error.js";
import { ConfigError } from "../../../clients/src/errors/codes.js";
import { Access, bearerOf, EVERYBODY, lineOf, LOOK_EVERY_MS, makeToken, WatchedFiles } from "../../src/access/index.js";
import { readTokens } from "../../src/access/tokens.js";
import { ManualClock } from "../../src/adapters/memory/manual-clock.js";
import { LinesLogger, until } from "../gateway/fixtures.js";

const TOKEN = makeToken();
const ALL_APPS = { apps: [] } as const;
const line = (name: string, scopes: Parameters<typeof lineOf>[1]["scopes"], token = TOKEN) =>
  lineOf(token, { name, scopes, ...ALL_APPS });

describe("the tokens file", () => {
  it("has the hash of a token that is 256 random bits, and not the token", () => {
    expect(TOKEN).toMatch(/^eddy_[A-Za-z0-9_-]{43}$/);
    expect(makeToken()).not.toBe(TOKEN);
    const text = lineOf(TOKEN, { name: "shop", scopes: ["work", "send"], apps: ["shop"] });
    expect(text).not.toContain(TOKEN.slice("eddy_".length));
    const [known] = readTokens(`# of the shop\n${text}\n`, "tokens.yaml");
    expect(known?.grant).toMatchObject({ name: "shop", scopes: new Set(["work", "send"]), apps: new Set(["shop"]) });
  });

  const hash = `sha256:${"0".repeat(64)}`;
  it.each<[string, unknown, RegExp]>([
    ["a hash that is none", [{ name: "a", hash: "sha256:12", scopes: ["send"] }], /\[0\.hash\] expected sha256:/],
    ["no scope", [{ name: "a", hash, scopes: [] }], /\[0\.scopes\]/],
    ["a scope that is none", [{ name: "a", hash, scopes: ["admin"] }], /\[0\.scopes\.0\]/],
    ["a key too many", [{ name: "a", hash, scopes: ["send"], secret: "x" }], /\[0\]/],
    ["read for one app", [{ name: "a", hash, scopes: ["read"], apps: ["shop"] }], /\[0\.apps\] binds workers alone/],
    [
      "a name twice",
      [
        { name: "a", hash, scopes: ["send"] },
        { name: "a", hash, scopes: ["work"] },
      ],
      /"a" twice/,
    ],
    ["no list", { name: "a" }, /has problems/],
  ])("is refused with %s, and nothing of it is shown", (_, content, said) => {
    const read = () => readTokens(JSON.stringify(content), "tokens.yaml");
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(said);
    expect(read).not.toThrow(/0000/);
  });

  it("is refused where it is not YAML", () => {
    expect(() => readTokens("- {name: x", "tokens.yaml")).toThrow(/tokens\.yaml is not YAML/);
  });
});

describe("access", () => {
  let folder: string;
  let clock: ManualClock;
  let logger: LinesLogger;
  let files: WatchedFiles;
  let tokensFile: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "eddy-access-"));
    tokensFile = join(folder, "tokens.yaml");
    clock = new ManualClock();
    logger = new LinesLogger();
    files = new WatchedFiles({ clock, logger });
  });
  afterEach(async () => {
    await files.close();
    rmSync(folder, { recursive: true });
  });
  const codeOf = (ask: () => unknown): string => {
    try {
      ask();
      return "allowed";
    } catch (error) {
      return (error as RequestError).code;
    }
  };
  function opened(...lines: string[]): Access {
    writeFileSync(tokensFile, lines.join("\n"));
    return new Access({ tokensFile }, files);
  }

  it("lets everybody in where there is no tokens file", () => {
    const access = new Access({}, files);
    expect(access.isRequired).toBe(false);
    expect(access.check("operate", [null])).toBe(EVERYBODY);
  });

  it("tells a token that is missing or unknown from one that does not allow it", () => {
    const access = opened(line("reader", ["read"]));
    expect(codeOf(() => access.check("read", [TOKEN]))).toBe("allowed");
    expect(codeOf(() => access.check("operate", [TOKEN]))).toBe("FORBIDDEN");
    expect(codeOf(() => access.check("read", [`${TOKEN}x`]))).toBe("UNAUTHENTICATED");
    expect(codeOf(() => access.check("read", [null]))).toBe("UNAUTHENTICATED");
    expect(codeOf(() => access.check("read", [""]))).toBe("UNAUTHENTICATED");
    expect(codeOf(() => access.check("read", [null, TOKEN]))).toBe("allowed");
  });

  it("lets nobody in where the file is empty", () => {
    expect(codeOf(() => opened("").check("read", [TOKEN]))).toBe("UNAUTHENTICATED");
  });

  it("takes a file that has changed without a restart: two tokens for a while, then the new one alone", async () => {
    const access = opened(line("old", ["send"]));
    const old = access.check("send", [TOKEN]);
    const next = makeToken();
    const isIn = (token: string) => codeOf(() => access.check("send", [token])) === "allowed";
    files.start();
    const change = async (...lines: string[]): Promise<void> => {
      const before = logger.lines.length;
      writeFileSync(tokensFile, lines.join("\n"));
      await until("it is noticed", () => {
        clock.advance(LOOK_EVERY_MS);
        return logger.lines.length > before;
      });
    };
    await change(line("old", ["send"]), line("next", ["send"], next));
    expect([isIn(TOKEN), isIn(next), access.stillHolds(old)]).toEqual([true, true, true]);
    await change("- { not: right }");
    expect([isIn(TOKEN), isIn(next)]).toEqual([true, true]);
    await change(line("next", ["send"], next));
    expect([isIn(TOKEN), isIn(next), access.stillHolds(old)]).toEqual([false, true, false]);
    // Another token under the name of a former one is another token.
    const grant = access.check("send", [next]);
    await change(line("next", ["send"]));
    expect([isIn(TOKEN), isIn(next), access.stillHolds(grant)]).toEqual([true, false, false]);
  });

  it("keeps what it had where the file is gone, and says so once", async () => {
    const access = opened(line("a", ["send"]));
    rmSync(tokensFile);
    await files.look();
    await files.look();
    expect(codeOf(() => access.check("send", [TOKEN]))).toBe("allowed");
    expect(logger.lines).toHaveLength(1);
  });

  it("has a token of its own for other engines, which the tokens file has to know", async () => {
    const peerTokenFile = join(folder, "peer-token");
    writeFileSync(peerTokenFile, `${TOKEN}\n`);
    writeFileSync(tokensFile, line("peers", ["send"]));
    expect(() => new Access({ tokensFile, peerTokenFile }, files)).toThrow(/none of .* with the scope peer/);
    writeFileSync(tokensFile, line("peers", ["peer"]));
    const access = new Access({ tokensFile, peerTokenFile }, files);
    expect(access.peerToken).toBe(TOKEN);
    const next = makeToken();
    writeFileSync(tokensFile, `${line("peers", ["peer"])}\n${line("next", ["peer"], next)}`);
    writeFileSync(peerTokenFile, next);
    await files.look();
    expect(access.peerToken).toBe(next);
  });

  it("cannot start without its files", () => {
    expect(() => new Access({ tokensFile: join(folder, "nope") }, files)).toThrow(/cannot be read \(ENOENT\)/);
  });

  it.each([
    ["Bearer abc", "abc"],
    ["bearer abc", "abc"],
    ["Basic abc", null],
    ["Bearer", null],
    ["Bearer a b", null],
    [undefined, null],
  ])("reads the header %s as %s", (header, token) => {
    expect(bearerOf(header)).toBe(token);
  });
});

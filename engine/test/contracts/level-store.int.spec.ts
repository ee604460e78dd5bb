/**
 * The Store contract on Level's `rocksdb` 5.2.1, an optional adapter. That binding aborts the process on any Node but
 * 20: there, what is tested is that we say so instead of loading it.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LevelStoreFactory, levelUnavailable } from "../../src/adapters/rocksdb/level-store.js";
import { ConfigError } from "../../../clients/src/errors/codes.js";
import { storeContract } from "./store-contract.js";

const reason = levelUnavailable(process.versions.node);

if (reason === null) {
  storeContract("rocksdb 5.2.1 (Level)", async () => {
    const directory = await mkdtemp(join(tmpdir(), "eddy-level-"));
    const factory = await LevelStoreFactory.load(directory);
    const other = await LevelStoreFactory.load(directory);
    return { factory, otherFactory: () => other, dispose: () => rm(directory, { recursive: true }) };
  });
} else {
  describe(`store contract: rocksdb 5.2.1 (Level) does not run here: ${reason}`, () => {
    it("because loading the binding aborts the process", () => {
      const child = spawnSync(process.execPath, ["-e", 'require("rocksdb")'], { cwd: import.meta.dirname });
      expect(child.signal).toBe("SIGABRT");
    });
    it("and the factory says so before it loads it", async () => {
      const load = LevelStoreFactory.load("never-made");
      await expect(load).rejects.toThrow(ConfigError);
      await expect(load).rejects.toThrow(reason);
    });
  });
}

describe("level store", () => {
  it.each([
    ["18.20.4", false],
    ["20.0.0", true],
    ["20.20.2", true],
    ["22.1.0", false],
    ["24.0.0", false],
    ["200.0.0", false],
  ])("on Node %s can be loaded: %s", (version, can) => {
    expect(levelUnavailable(version) === null).toBe(can);
  });
});

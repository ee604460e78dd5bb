import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { installReason } from "../lib/install.mjs";

const lock = {
  packages: {
    "": {},
    "node_modules/ms": { version: "2.1.3" },
    "node_modules/a/node_modules/ms": { version: "1.0.0" },
    "node_modules/@eddy/sdk": { link: true },
    "node_modules/only-on-mac": { version: "1.0.0", optional: true },
    sdk: { version: "0.1.0" },
  },
};
type Packages = Record<string, { version?: string; link?: boolean }>;

describe("does a clone need npm ci", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "eddy-install-"));
    writeFileSync(join(root, "package-lock.json"), JSON.stringify(lock));
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  function installed(packages: Packages, links: readonly string[] = ["node_modules/@eddy/sdk"]): void {
    for (const link of ["node_modules", ...links]) mkdirSync(join(root, link), { recursive: true });
    writeFileSync(join(root, "node_modules/.package-lock.json"), JSON.stringify({ packages }));
  }
  const whole: Packages = {
    "node_modules/ms": { version: "2.1.3" },
    "node_modules/a/node_modules/ms": { version: "1.0.0" },
  };

  it("not when everything is there", () => {
    installed(whole);
    expect(installReason(root)).toBeNull();
  });
  it("when nothing is installed", () => {
    expect(installReason(root)).toBe("node_modules is missing");
  });
  it("when a package is missing", () => {
    installed({ "node_modules/ms": { version: "2.1.3" } });
    expect(installReason(root)).toContain("a/node_modules/ms");
  });
  it("when a package has another version", () => {
    installed({ ...whole, "node_modules/ms": { version: "2.1.2" } });
    expect(installReason(root)).toContain("should be 2.1.3, it is 2.1.2");
  });
  it("when a workspace is not linked", () => {
    installed(whole, []);
    expect(installReason(root)).toContain("not linked");
  });
});

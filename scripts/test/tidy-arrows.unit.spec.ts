import { describe, expect, it } from "vitest";
import { arrows } from "../tidy/arrows.js";
import { packages } from "../tidy/packages.js";
import { found, treeOf } from "./tidy-fixtures.js";

const arrowsOf = (path: string, text: string): readonly string[] => found(arrows, treeOf({ [path]: text }));

describe("import arrows", () => {
  it.each([
    ["engine/src/core/decide.ts", 'import { x } from "../ports/log.js";'],
    ["engine/src/core/decide.ts", 'import type { Log } from "../ports/log.js";'],
    ["engine/src/core/run/start.ts", 'import { x } from "../../adapters/memory/log.js";'],
    ["engine/src/core/decide.ts", 'import { readFileSync } from "node:fs";'],
    ["engine/src/core/decide.ts", 'import ms from "ms";'],
    ["engine/src/core/decide.ts", 'export { x } from "../partition/task.js";'],
    ["engine/src/core/decide.ts", 'export const f = () => import("../partition/task.js");'],
    ["engine/src/core/decide.ts", 'type T = import("../ports/log.js").Log;'],
    ["engine/src/ports/log.ts", 'import { memoryLog } from "../adapters/memory/log.js";'],
    ["engine/src/ports/log.ts", 'import { decide } from "../core/decide.js";'],
    ["engine/src/partition/task.ts", 'import { memoryLog } from "../adapters/memory/log.js";'],
    ["engine/src/partition/task.ts", 'import { setTimeout } from "node:timers/promises";'],
    ["engine/src/adapters/memory/log.ts", 'import { decide } from "../../core/decide.js";'],
    ["engine/src/adapters/memory/log.ts", 'import { task } from "../../partition/task.js";'],
    ["engine/src/history/store.ts", 'import { server } from "../gateway/server.js";'],
    ["engine/src/gateway/server.ts", 'import { start } from "../main.js";'],
    ["engine/src/gateway/server.ts", 'import { Eddy } from "@eddy/sdk";'],
    ["engine/src/main.ts", 'import { Eddy } from "@eddy/sdk";'],
    ["sdk/src/client.ts", 'import { startEngine } from "@eddy/engine";'],
    ["sdk/src/client.ts", 'import { x } from "../../engine/src/core/index.js";'],
    ["sdk/src/client.ts", 'import { x } from "../../schemas/src/index.js";'],
    ["sdk/src/client.ts", 'import { MemoryEngine } from "@eddy/engine/testing";'],
    ["sdk/src/client.ts", 'import { testEngine } from "./testing/test-engine.js";'],
    ["sdk/src/testing/test-engine.ts", 'import { startEngine } from "@eddy/engine";'],
    ["engine/src/testing/memory-engine.ts", 'import { readFile } from "node:fs";'],
    ["schemas/src/event.ts", 'import { x } from "@eddy/sdk";'],
    ["engine/sim/run.ts", 'import { embeddedLog } from "../src/adapters/embedded/log.js";'],
    ["examples/cart/src/worker.ts", 'import { startEngine } from "@eddy/engine";'],
    ["examples/cart/src/worker.ts", 'import { testEngine } from "@eddy/sdk/testing";'],
    ["examples/cart/src/worker.ts", 'import { x } from "../../mail/src/mail.js";'],
    ["engine/src/new-room/thing.ts", "export const x = 1;"],
    ["engine/src/core/decide.ts", 'import { LogTail } from "@eddy/clients";'],
    ["clients/src/dispatch/pool.ts", 'import { KafkaLog } from "../kafka/kafka-log.js";'],
    ["clients/src/send/event-sender.ts", 'import { decide } from "../../../engine/src/core/index.js";'],
    ["clients/src/send/event-sender.ts", 'import { startEngine } from "@eddy/engine";'],
    ["attic/thing.ts", "export const x = 1;"],
  ])("refuses, in %s: %s", (path, text) => {
    expect(arrowsOf(path, text)).toHaveLength(1);
  });

  it.each([
    ["engine/src/core/decide.ts", 'import { invariant } from "@eddy/clients/errors";'],
    ["engine/src/core/decide.ts", 'import { canon } from "@eddy/schemas";'],
    ["engine/src/core/run/start.ts", 'import { match } from "../match/match.js";'],
    ["engine/src/ports/log.ts", 'import type { Input } from "../core/index.js";'],
    ["engine/src/ports/log.ts", 'import { type Input } from "../core/index.js";'],
    ["engine/src/partition/task.ts", 'import { decide } from "../core/index.js";'],
    ["engine/src/adapters/embedded/log.ts", 'import { x } from "../rocksdb/store.js";\nimport { y } from "node:fs";'],
    ["engine/src/main.ts", 'import { x } from "./adapters/memory/log.js";\nimport pino from "pino";'],
    ["engine/test/core/decide.unit.spec.ts", 'import { decide } from "../../src/core/index.js";'],
    ["engine/sim/run.ts", 'import { memoryLog } from "../src/adapters/memory/log.js";'],
    ["sdk/src/client.ts", 'import { eventInput } from "@eddy/schemas";\nimport WebSocket from "ws";'],
    ["examples/cart/test/cart.spec.ts", 'import { startEngine } from "@eddy/engine";\nimport "../src/worker.js";'],
    ["examples/cart/test/cart.spec.ts", 'import { testEngine } from "@eddy/sdk/testing";'],
    [
      "sdk/src/testing/test-engine.ts",
      'import { M } from "@eddy/engine/testing";\nimport { W } from "../worker/worker.js";',
    ],
    ["sdk/test/testing/test.spec.ts", 'import { testEngine } from "../../src/testing/index.js";'],
    ["bench/core.bench.ts", 'import { Scenario } from "../engine/test/core/scenario.js";'],
    ["vitest.config.ts", 'import { defineConfig } from "vitest/config";'],
  ])("allows, in %s: %s", (path, text) => {
    expect(arrowsOf(path, text)).toEqual([]);
  });

  it("names the line", () => {
    const text = '// The core.\n\nimport type { Log } from "../ports/log.js";\n';
    expect(arrowsOf("engine/src/core/decide.ts", text)).toEqual(["engine/src/core/decide.ts:3 arrows"]);
  });
});

describe("declared packages", () => {
  const manifests = {
    "package.json": JSON.stringify({ devDependencies: { vitest: "1" } }),
    "sdk/package.json": JSON.stringify({ name: "@eddy/sdk", dependencies: { ws: "1" }, devDependencies: { zod: "1" } }),
  };

  it("refuses a source that lives off hoisting, off the root, or off devDependencies", () => {
    const text =
      'import WebSocket from "ws";\nimport ms from "ms";\nimport { it } from "vitest";\nimport z from "zod/v4";\n';
    expect(found(packages, treeOf({ ...manifests, "sdk/src/client.ts": text }))).toEqual([
      "sdk/src/client.ts:2 packages",
      "sdk/src/client.ts:3 packages",
      "sdk/src/client.ts:4 packages",
    ]);
  });

  it("lets a test use the workspace's and the root's devDependencies, and nothing else", () => {
    const text =
      'import { it } from "vitest";\nimport z from "zod";\nimport { Eddy } from "@eddy/sdk";\nimport ms from "ms";\n';
    expect(found(packages, treeOf({ ...manifests, "sdk/test/client.spec.ts": text }))).toEqual([
      "sdk/test/client.spec.ts:4 packages",
    ]);
  });
});

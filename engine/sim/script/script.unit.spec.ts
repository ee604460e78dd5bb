/** Scripts stand for handlers: what `advance` says must be what JavaScript would do with the same memo. */
import { appConfig, checkCondition, holds, type MemoEntry } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { Prng } from "../prng.js";
import { drawScenario } from "../scenario.js";
import {
  advance,
  allNodesOf,
  computedText,
  conditionOf,
  readCondition,
  versionOf,
  waitsOf,
  type Memo,
  type Node,
} from "./script.js";

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const run = (id: string): Node => ({
  ...{ kind: "run", id, fails: 0, retriable: true, retryAfter: null, caught: true, emits: null, padding: 0, tookMs: 0 },
});
const sleep = (id: string): Node => ({ kind: "sleep", id, until: { ms: 1 } });
const wait = (id: string, onEvent: readonly Node[] = []): Node => ({
  ...{ kind: "wait", id, event: "w", match: null, if: null, since: "mark", timeout: { ms: 1 }, onEvent, onTimeout: [] },
});
const entry = (stepId: string, kind: MemoEntry["kind"], data: Uint8Array | null = null): MemoEntry => ({
  ...{ stepId, kind, data, error: null, invocation: 0 },
});
const memoOf = (...entries: readonly MemoEntry[]): Memo => new Map(entries.map((e) => [e.stepId, e]));

describe("a race", () => {
  const race: Node = { kind: "race", branches: [[wait("w")], [sleep("s")], [run("a"), run("b")]] };

  it("asks for everything until a branch is done", () => {
    const standing = advance([race, run("next")], memoOf(entry("a", "run", bytes(1))), 0);
    expect(standing).toMatchObject({ kind: "blocked", runs: [{ id: "b" }], requests: [{ id: "w" }, { id: "s" }] });
    expect(standing.lost).toEqual([]);
  });

  it("goes to the branch that was done first by the memo, and gives up the bare ones that it had asked for", () => {
    const memo = memoOf(entry("a", "run", bytes(1)), entry("s", "sleep"), entry("b", "run", bytes(2)));
    const standing = advance([race, run("next")], memo, 0);
    expect(standing).toMatchObject({ kind: "blocked", runs: [{ id: "next" }], requests: [] });
    expect(standing.lost).toEqual(["w"]);
    expect(standing.unasked).toEqual([]);
  });

  it.each([
    [["s", "w"], '["race 1","s"]'],
    [["w", "s"], '["race 0","w=null"]'],
  ])("is decided by %j, in that order", (order, data) => {
    const memo = memoOf(...order.map((id) => entry(id, id === "s" ? "sleep" : "wait")));
    expect(advance([race], memo, 0)).toMatchObject({ kind: "returned", data, lost: [] });
  });

  it("does not give up a wait that has something behind it", () => {
    const nodes: readonly Node[] = [{ kind: "race", branches: [[wait("w", [run("a")])], [sleep("s")]] }];
    expect(advance(nodes, memoOf(entry("s", "sleep")), 0).lost).toEqual([]);
  });
});

describe("other code than recorded", () => {
  it("leaves what it does not ask for", () => {
    const memo = memoOf(entry("old", "run", bytes(1)));
    expect(advance([run("new")], memo, 0)).toMatchObject({ kind: "blocked", unasked: ["old"] });
    expect(advance([run("old"), run("new")], memo, 0)).toMatchObject({ kind: "blocked", unasked: [] });
  });
});

describe("what is drawn", () => {
  const scenarios = Array.from({ length: 300 }, (_, seed) => drawScenario(new Prng(seed)));
  const versions = scenarios.flatMap(({ scripts }) => scripts.flatMap((s) => [s, versionOf(s, 1)]));

  it("can be registered", () => {
    for (const { scripts, timeline } of scenarios) {
      for (const { action } of timeline)
        if (action.kind === "register") appConfig.parse({ app: action.app, functions: action.functions });
      appConfig.parse({
        app: "shop",
        functions: scripts.filter(({ app }) => app === "shop").map(({ config }) => config),
      });
    }
  });

  it("has every kind of node, and later versions that differ", () => {
    const kinds = new Set(versions.flatMap(({ nodes }) => allNodesOf(nodes).map(({ kind }) => kind)));
    expect([...kinds].sort()).toEqual(["all", "race", "run", "send", "sleep", "throw", "wait"]);
    const changed = scenarios.flatMap(({ scripts }) => scripts.filter((s) => s.versions.length > 0));
    expect(changed.length).toBeGreaterThan(10);
    for (const script of changed) expect(versionOf(script, 1).nodes).not.toEqual(script.nodes);
  });

  it("has conditions that read back as they were drawn and parse as CEL, with what handlers compute in them", () => {
    const texts = versions.flatMap(({ nodes }) => waitsOf(nodes).flatMap((node) => node.if ?? []));
    expect(texts.some((text) => text.includes("{"))).toBe(true);
    for (const text of texts) {
      expect(conditionOf(readCondition(text).terms).text).toBe(text);
      for (const data of [{ k: "k1", j: 1, u: true, n: 2 }, { k: null }]) {
        const computed = computedText(text, { data });
        checkCondition(computed, "listen");
        readCondition(computed);
      }
    }
  });

  it("never asks for less settle time than its senders take", () => {
    for (const { senders, settleMs, skewsMs } of scenarios) {
      expect(settleMs).toBeGreaterThanOrEqual(senders.staleMsMax + senders.patienceMs + Math.max(...skewsMs));
    }
  });
});

it("a computed constant is the triggering event's own value", () => {
  const text = computedText("async.data.k == {data.j}", { data: { j: "x" } });
  expect(text).toBe('async.data.k == "x"');
  expect(holds(text, {}, { data: { k: "x" } })).toBe(true);
  expect(holds(text, {}, { data: { k: "y" } })).toBe(false);
});

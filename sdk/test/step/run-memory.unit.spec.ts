import { describe, expect, it } from "vitest";
import type { MemoEntry } from "@eddy/schemas";
import { encodeJson } from "../../src/protocol/json.js";
import { RunMemory } from "../../src/step/run-memory.js";

const entry = (stepId: string, data: unknown = 1, error: MemoEntry["error"] = null): MemoEntry => ({
  stepId,
  kind: "run",
  data: error === null ? encodeJson(data) : null,
  error,
  invocation: 1,
});
const failed = { name: "Error", message: "x", stack: null };
const memory = (): RunMemory => new RunMemory(encodeJson({}), [entry("a"), entry("b")]);

describe("a request's results", () => {
  it("are taken in when they make up what the engine has", () => {
    const own = memory();
    expect(own.merge({ memo: [entry("c")], memoTotal: 3 })?.map(({ stepId }) => stepId)).toEqual(["c"]);
    expect([...own.entries()].map(({ stepId }) => stepId)).toEqual(["a", "b", "c"]);
  });

  it("may repeat what is known", () => {
    expect(memory().merge({ memo: [entry("b"), entry("c")], memoTotal: 3 })).toHaveLength(1);
  });

  it.each([
    ["too few", [], 3],
    ["too many", [entry("c")], 2],
    ["another result", [entry("b", 2), entry("c")], 3],
    ["a failure where there was a result", [entry("b", 0, failed)], 2],
    ["a failure where there was null", [entry("n", 0, failed)], 3],
  ])("show that this memory cannot be used: %s", (_, memo, memoTotal) => {
    const own = memory();
    if (memo[0]?.stepId === "n") own.add({ ...entry("n"), kind: "wait", data: null });
    const before = own.size;
    expect(own.merge({ memo, memoTotal })).toBeNull();
    expect(own.size).toBe(before);
  });
});

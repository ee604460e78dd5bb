import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { errorShape as schema } from "@eddy/schemas";
import { SDK_ERROR_CODES, StepError } from "../../src/index.js";
import { errorShape } from "../../src/protocol/error-shape.js";
import { SDK_VERSION } from "../../src/protocol/version.js";

const hostile = new Proxy(new Error("inner"), {
  get(_, key) {
    throw new Error(`no ${String(key)}`);
  },
  getPrototypeOf() {
    throw new Error("no prototype");
  },
});
class Throwing extends Error {
  override get message(): string {
    throw new Error("no message");
  }
}
const endless = new Error("endless");
endless.cause = endless;

describe("whatever is thrown becomes an error that travels", () => {
  it.each<[string, unknown, object]>([
    ["an error", new TypeError("m"), { name: "TypeError", message: "m" }],
    ["an error without a name", Object.assign(new Error("m"), { name: "" }), { name: "Error", message: "m" }],
    ["an error whose name is no text", Object.assign(new Error("m"), { name: 5 }), { name: "Error", message: "m" }],
    ["an error whose getters throw", new Throwing(), { name: "Error", message: "" }],
    ["a proxy that throws at everything", hostile, { name: "Error", stack: null }],
    ["an error that causes itself", endless, { name: "Error", message: "endless" }],
    ["null", null, { name: "Error", message: "null", stack: null }],
    ["a number", 5, { message: "5" }],
    ["a symbol", Symbol("s"), { message: "Symbol(s)" }],
    ["a function", () => 1, { name: "Error" }],
    ["an object without prototype", Object.create(null), { message: "[Object: null prototype] {}" }],
    ["a long message", new Error("x".repeat(100_000)), { name: "Error" }],
    ["a long name", Object.assign(new Error("m"), { name: "n".repeat(300) }), { message: "m" }],
    ["an AggregateError", new AggregateError([new Error("a")], "all"), { name: "AggregateError", message: "all" }],
  ])("%s", (_, thrown, expected) => {
    const shape = errorShape(thrown);
    expect(shape).toMatchObject(expected);
    expect(schema.safeParse(shape).success).toBe(true);
  });

  it("with the stacks of its causes", () => {
    const { stack } = errorShape(new Error("outer", { cause: new RangeError("inner", { cause: "text" }) }));
    expect(stack).toMatch(/^Error: outer\n[^]+\n\[cause\]: RangeError: inner\n/);
  });

  it("a StepError keeps what its step threw", () => {
    const shape = { name: "TypeError", message: "m", stack: "TypeError: m\n    at step" };
    expect(errorShape(new StepError("s", shape))).toMatchObject({ name: "TypeError", message: "m" });
    expect(new StepError("s", { ...shape, stack: null }).stack).toBe("TypeError: m");
  });
});

it("says the version of its package", () => {
  const packageJson = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as object;
  expect(packageJson).toMatchObject({ version: SDK_VERSION });
});

it("has a sentence for each of its codes", () => {
  for (const [code, summary] of Object.entries(SDK_ERROR_CODES)) {
    expect(code).toMatch(/^[A-Z_]+$/);
    expect(summary).toMatch(/^[A-Z].+\.$/);
  }
});

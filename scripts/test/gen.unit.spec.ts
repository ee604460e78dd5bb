import { describe, expect, it } from "vitest";
import { drift } from "../gen/drift.js";
import { jsonSchemas } from "../gen/json-schemas.js";

describe("drift of generated files", () => {
  const wanted = new Map([["a.json", "1\n"]]);
  it.each([
    ["none", [["a.json", "1\n"]], []],
    ["a missing file", [], ["a.json is missing"]],
    ["a stale file", [["a.json", "2\n"]], ["a.json is not what its source gives"]],
    [
      "a file left over",
      [
        ["a.json", "1\n"],
        ["b.json", "1\n"],
      ],
      ["b.json is left over"],
    ],
  ] as [string, [string, string][], string[]][])("%s", (_name, present, expected) => {
    expect(drift(wanted, new Map(present))).toEqual(expected);
  });
});

describe("JSON Schema of the contracts", () => {
  const definition = (file: string, name: string): Record<string, unknown> => {
    const { $defs } = JSON.parse(jsonSchemas().get(file) ?? "{}") as { $defs: Record<string, Record<string, unknown>> };
    const found = $defs[name];
    if (found === undefined) throw new Error(`${file} has no ${name}`);
    return found;
  };

  it("writes bytes as a byte string", () => {
    const { properties } = definition("rows.json", "KeptEventRow") as { properties: Record<string, unknown> };
    expect(properties["payload"]).toEqual({ type: "string", contentEncoding: "binary", description: "a byte string" });
  });
  it("lets events have fields of their own, and rows none", () => {
    expect(definition("event.json", "EventInput")["additionalProperties"]).not.toBe(false);
    expect(definition("rows.json", "RunRow")["additionalProperties"]).toBe(false);
  });
  it("requires the name of an event alone", () => {
    expect(definition("event.json", "EventInput")["required"]).toEqual(["name"]);
  });
  it("is the same each time", () => {
    expect([...jsonSchemas()]).toEqual([...jsonSchemas()]);
  });
});

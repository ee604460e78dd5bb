/** What a function listens to: wildcards, conditions, several keys, any event of a name. */
import { describe, expect, it } from "vitest";
import { functionConfig } from "@eddy/schemas";
import { z } from "zod";
import { Eddy, eventType, type Handler } from "../../src/index.js";
import { memoryLogger } from "../manual-clock.js";

const eddy = new Eddy({ id: "shop", logger: memoryLogger() });
const handler = (): string => "ok";

describe("createFunction", () => {
  it("takes wildcards and conditions, several paths, and rules and waits for any event of a name", () => {
    const { config } = eddy.createFunction(
      {
        id: "f",
        triggers: [{ event: "k/*" }, { event: "k/*" }, { event: "*", if: "event.data.total > 3" }, { event: "*" }],
        cancelOn: [
          { event: "a", match: "data.a" },
          { event: "b", if: "async.data.id == event.data.b" },
          { event: "c", timeout: "1h" },
        ],
        waits: [{ event: "w", if: "async.data.n > 1", since: "trigger" }, { event: "v" }],
      },
      async ({ step }) => {
        await step.waitForEvent("w", { event: "w", if: "async.data.n > 1", since: "trigger", timeout: 1 });
        await step.waitForEvent("v", { event: "v", timeout: 1, since: "registration" });
      },
    );
    expect(config).toMatchObject({
      triggers: [
        { event: "k/*", if: null },
        { event: "*", if: "event.data.total > 3" },
        { event: "*", if: null },
      ],
      cancelOn: [
        { event: "a", match: "data.a", if: null, timeout: null },
        { event: "b", match: null, if: "async.data.id == event.data.b", timeout: null },
        { event: "c", match: null, if: null, timeout: { ms: 3_600_000 } },
      ],
      waits: [
        { event: "w", match: null, if: "async.data.n > 1", since: "trigger" },
        { event: "v", match: null, if: null, since: "mark" },
        { event: "v", match: null, if: null, since: "registration" },
      ],
    });
    expect(functionConfig.parse(config)).toEqual(config);
  });

  it("knows the type of an event that a wildcard with a type stands for", () => {
    const any = eventType("k/*", { schema: z.object({ id: z.string() }) });
    const exact = eventType("k/1");
    const fn = eddy.createFunction({ id: "f", triggers: [any, exact] }, handler);
    expect(["k/1", "k/2", "l"].map((name) => fn.triggerTypeOf(name))).toEqual([exact, any, undefined]);
  });

  it("refuses a wait in the handler that cannot be; what only looks like a wait is left alone", () => {
    const flow: Handler = ({ step }) => step.waitForEvent("w", { event: "x", if: "async.data.", timeout: 1 });
    expect(() => eddy.createFunction({ id: "f", triggers: { event: "e" } }, flow)).toThrow(
      /a waitForEvent of "x": if: does not parse as CEL at character \d+ of "async\.data\."/,
    );
    const wild: Handler = ({ step }) => step.waitForEvent("w", { event: "x/*", timeout: 1 });
    expect(() => eddy.createFunction({ id: "f", triggers: { event: "e" } }, wild)).toThrow(/is for triggers alone/);
    const track = (id: string, what: object): unknown => [id, what];
    const other: Handler = () => track("w", { event: "x", if: "async.data.", timeout: 1 });
    expect(eddy.createFunction({ id: "f", triggers: { event: "e" } }, other).config.waits).toEqual([]);
  });

  it("counts the waits that it finds among those that a function may have", () => {
    const waits = Array.from({ length: 50 }, (_, i) => ({ event: `e${i}`, match: "id" }));
    const known: Handler = ({ step }) => step.waitForEvent("w", { event: "e7", match: "id", timeout: 1 });
    expect(eddy.createFunction({ id: "f", triggers: { event: "e" }, waits }, known).config.waits).toHaveLength(50);
    const more: Handler = ({ step }) => step.waitForEvent("w", { event: "e50", match: "id", timeout: 1 });
    expect(() => eddy.createFunction({ id: "f", triggers: { event: "e" }, waits }, more)).toThrow(/waits: .*50/);
  });
});

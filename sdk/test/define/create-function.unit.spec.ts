import { inspect } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { connect, DefinitionError, Eddy, eventType, staticSchema, type Handler } from "../../src/index.js";
import * as compat from "../../src/inngest.js";
import { memoryLogger } from "../manual-clock.js";

const loud = memoryLogger();
const quiet = memoryLogger();
const logger = { ...loud, debug: (...args: unknown[]) => quiet.debug(...args) };
const eddy = new Eddy({ id: "shop", logger });
const handler = (): string => "ok";
const E = { event: "e", if: null };
const anyOptions = (options: object) => options as { id: string; triggers: { event: string } };

describe("createFunction", () => {
  it("makes the configuration of the cart function, with the wait from its handler", () => {
    const cart = eddy.createFunction(
      {
        id: "cart-abandonment-flow",
        triggers: [{ event: "cart/product.added" }],
        cancelOn: { event: "cart/product.added", timeout: "24h", match: "data.cart_id" },
      },
      async ({ event, step }) => {
        const purchased = await step.waitForEvent("wait-for-purchase", {
          event: "cart/purchased",
          timeout: "24h",
          match: "data.cart_id",
        });
        if (purchased !== null) return;
        await step.run("send-reminder", () => event.user.email);
      },
    );
    expect(cart.id).toBe("cart-abandonment-flow");
    expect(cart.config).toEqual({
      id: "cart-abandonment-flow",
      name: "cart-abandonment-flow",
      triggers: [{ event: "cart/product.added", if: null }],
      cancelOn: [{ event: "cart/product.added", match: "data.cart_id", if: null, timeout: { ms: 86_400_000 } }],
      waits: [{ event: "cart/purchased", match: "data.cart_id", if: null, since: "mark" }],
      retries: 4,
    });
  });

  it("takes the older form, objects instead of arrays, event types instead of names, and all options", () => {
    const added = eventType("added");
    const left = eventType("left", { schema: z.object({ id: z.string() }) });
    const older = eddy.createFunction(
      {
        id: "f",
        name: "F",
        description: "does f",
        retries: 0,
        waits: { event: left, match: "id" },
        cancelOn: [
          { event: "gone", match: "id" },
          { event: added, match: "id", timeout: new Date(5_000) },
          { event: "x", match: "id", timeout: 10 },
        ],
      },
      [{ event: added }, added, { event: "other" }],
      handler,
    );
    expect(older.config).toEqual({
      id: "f",
      name: "F",
      triggers: [
        { event: "added", if: null },
        { event: "other", if: null },
      ],
      cancelOn: [
        { event: "gone", match: "id", if: null, timeout: null },
        { event: "added", match: "id", if: null, timeout: { atMs: 5_000 } },
        { event: "x", match: "id", if: null, timeout: { ms: 10 } },
      ],
      waits: [{ event: "left", match: "id", if: null, since: "mark" }],
      retries: 0,
    });
    expect(eddy.createFunction({ id: "f" }, { event: "e" }, handler).config.triggers).toEqual([E]);
    expect(eddy.createFunction({ id: "f" }, added, handler).config.triggers).toEqual([{ event: "added", if: null }]);
  });

  it("finds waits for event types that it knows from the client or its own options, by the names of constants", () => {
    const cartPurchased = eventType("cart/purchased");
    const client = new Eddy({ id: "shop", schemas: [cartPurchased], logger });
    const waiting = client.createFunction({ id: "f", triggers: { event: "e" } }, ({ step }) =>
      step.waitForEvent("w", { event: cartPurchased, match: "data.id", timeout: "1h" }),
    );
    expect(waiting.config.waits).toEqual([{ event: "cart/purchased", match: "data.id", if: null, since: "mark" }]);
  });

  it("tells on the quietest level of waits that it cannot read, unless waits are declared", () => {
    const path = ["data", "id"].join(".");
    const flow: Handler = ({ step }) => step.waitForEvent("w", { event: "x", match: path, timeout: 1 });
    eddy.createFunction({ id: "f", triggers: { event: "e" } }, flow);
    expect(quiet.lines).toEqual([
      [
        { app: "shop", function: "f", waits: 1 },
        "a waitForEvent is not all literal; declared in the `waits` option it spares runs a detour",
      ],
    ]);
    eddy.createFunction({ id: "f", triggers: { event: "e" }, waits: { event: "x", match: "data.id" } }, flow);
    expect([quiet.lines.length, loud.lines.length]).toEqual([1, 0]);
  });

  it("warns of paths beside what events have, which most often lack `data.`, once each", () => {
    const warned = memoryLogger();
    const client = new Eddy({ id: "shop", logger: { ...memoryLogger(), warn: warned.warn } });
    const cancelOn = ["id", "user.id", "data.a", "ticketId"].map((match) => ({ event: "e", match }));
    client.createFunction({ id: "f", triggers: { event: "e" }, cancelOn }, async ({ step }) => {
      await step.waitForEvent("w", { event: "x", match: "ticketId", timeout: 1 });
      await step.waitForEvent("v", { event: "x", match: "dat.id", timeout: 1 });
    });
    const message = (path: string): string =>
      `match: "${path}" looks beside the data of events; did you mean "data.${path}"?`;
    expect(warned.lines).toEqual([
      [{ app: "shop", function: "f", match: "ticketId" }, message("ticketId")],
      [{ app: "shop", function: "f", match: "dat.id" }, message("dat.id")],
    ]);
  });

  const triggers = { event: "e" };
  it.each<[string, object, string, string]>([
    ["no id", { triggers }, "id", "is required"],
    ["an id with a slash", { id: "a/b", triggers }, "id", "may hold letters"],
    ["an unknown option", { id: "f", triggers, retry: 3 }, "retry", "is not an option; options are id, name,"],
    [
      "an option of later",
      { id: "f", triggers, concurrency: 3 },
      "concurrency",
      "is an option that this version of Eddy does not have",
    ],
    ["no trigger", { id: "f" }, "triggers", "expected at least one"],
    ["an empty list of triggers", { id: "f", triggers: [] }, "triggers", "expected at least one"],
    [
      "too many triggers",
      { id: "f", triggers: Array.from({ length: 11 }, (_, i) => ({ event: `e${i}` })) },
      "triggers",
      "expected at most 10, got 11",
    ],
    ["a trigger that is text", { id: "f", triggers: "e" }, "triggers[0]", "expected an object with event"],
    [
      "a trigger without event",
      { id: "f", triggers: [{}] },
      "triggers[0].event",
      "expected an event name or an eventType",
    ],
    ["an empty event name", { id: "f", triggers: [{ event: "" }] }, "triggers[0].event", ""],
    ["a cron trigger", { id: "f", triggers: [{ cron: "* * * * *" }] }, "triggers[0].cron", "is not in this version"],
    [
      "a * in the middle",
      { id: "f", triggers: [{ event: "e" }, { event: "e" }, { event: "a/*/b" }] },
      "triggers[2].event",
      "may have one *, at its end",
    ],
    [
      "a condition that is no condition",
      { id: "f", triggers: [{ event: "e", if: "1" }] },
      "triggers[0].if",
      'does not parse as CEL at character 1 of "1": expected true or false',
    ],
    [
      "a trigger's condition over an event to come",
      { id: "f", triggers: [{ event: "e", if: "event.data.a && async.data.b" }] },
      "triggers[0].if",
      'does not parse as CEL at character 17 of "event.data.a && async.data.b": Unknown variable: async',
    ],
    [
      "a rule's condition that ends too soon",
      { id: "f", triggers, cancelOn: [{ event: "e" }, { event: "e", if: "async.data.id == " }] },
      "cancelOn[1].if",
      'does not parse as CEL at character 18 of "async.data.id == "',
    ],
    [
      "match and if together",
      { id: "f", triggers, cancelOn: { event: "e", match: "id", if: "true" } },
      "cancelOn[0].if",
      "match and if exclude each other",
    ],
    [
      "match and if of a wait together",
      { id: "f", triggers, waits: { event: "e", match: "id", if: "true" } },
      "waits[0].if",
      "match and if exclude each other",
    ],
    ["a rule for names with a *", { id: "f", triggers, cancelOn: { event: "e/*" } }, "cancelOn[0].event", "a * at"],
    ["a wait for names with a *", { id: "f", triggers, waits: { event: "e/*" } }, "waits[0].event", "a * at"],
    ["a since that is none", { id: "f", triggers, waits: { event: "e", since: "now" } }, "waits[0].since", ""],
    ["too many waits", { id: "f", triggers, waits: Array.from({ length: 51 }, () => ({ event: "e" })) }, "waits", ""],
    [
      "a bad duration",
      { id: "f", triggers, cancelOn: { event: "e", match: "id", timeout: "1 fortnight" } },
      "cancelOn[0].timeout",
      "expected a duration",
    ],
    [
      "a negative duration",
      { id: "f", triggers, cancelOn: { event: "e", match: "id", timeout: -1 } },
      "cancelOn[0].timeout",
      "expected a duration",
    ],
    [
      "a bad date",
      { id: "f", triggers, cancelOn: { event: "e", match: "id", timeout: new Date("x") } },
      "cancelOn[0].timeout",
      "expected a valid Date",
    ],
    ["a match that is no text", { id: "f", triggers, cancelOn: [{ event: "e", match: 5 }] }, "cancelOn[0].match", ""],
    [
      "a bad path",
      { id: "f", triggers, cancelOn: [{ event: "e", match: "data..x" }] },
      "cancelOn[0].match",
      "must be a dotted path",
    ],
    [
      "too many rules",
      { id: "f", triggers, cancelOn: Array.from({ length: 6 }, () => ({ event: "e", match: "id" })) },
      "cancelOn",
      "",
    ],
    [
      "an unknown key in a rule",
      { id: "f", triggers, cancelOn: { event: "e", match: "id", after: 1 } },
      "cancelOn[0].after",
      "is not known",
    ],
    ["a bad wait", { id: "f", triggers, waits: ["x"] }, "waits[0]", "expected an object with event, match, if, since"],
    ["too many retries", { id: "f", triggers, retries: 21 }, "retries", ""],
    ["a broken number of retries", { id: "f", triggers, retries: 1.5 }, "retries", ""],
  ])("refuses %s, naming the option", (_, options, path, message) => {
    let thrown: unknown;
    try {
      eddy.createFunction(anyOptions(options), handler);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(DefinitionError);
    expect(thrown).toMatchObject({ name: "DefinitionError", code: "FUNCTION_INVALID", path });
    expect((thrown as Error).message).toContain(`${path}: ${message}`);
  });

  it("refuses triggers that are given twice, and what is no function", () => {
    expect(() => eddy.createFunction(anyOptions({ id: "f", triggers }), triggers, handler)).toThrow("are given twice");
    expect(() => eddy.createFunction({ id: "f", triggers }, 5 as never)).toThrow(
      'createFunction "f": handler: expected a function',
    );
    expect(() => eddy.createFunction(null as never, handler)).toThrow("createFunction: options: expected an object");
  });
});

describe("new Eddy", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("finds the gateway by option, then environment, then default", () => {
    vi.stubEnv("EDDY_BASE_URL", "");
    expect(new Eddy({ id: "a" }).baseUrl).toBe("http://127.0.0.1:8288");
    vi.stubEnv("EDDY_BASE_URL", " https://eddy.example/base/ ");
    expect(new Eddy({ id: "a" }).baseUrl).toBe("https://eddy.example/base");
    expect(new Eddy({ id: "a", baseUrl: "http://other:1/" }).baseUrl).toBe("http://other:1");
  });

  it.each([
    [{ id: "" }, "id"],
    [{ id: "a b" }, "id"],
    [{ id: "a", baseUrl: "localhost:8288" }, "baseUrl"],
    [{ id: "a", baseUrl: "ftp://x" }, "baseUrl"],
    [{ id: "a", schemas: ["x"] as never }, "schemas"],
  ])("refuses %j", (options, path) => {
    expect(() => new Eddy(options)).toThrow(expect.objectContaining({ code: "CLIENT_INVALID", path }) as Error);
  });

  it("finds Kafka by option, then environment; else there is the gateway", () => {
    vi.stubEnv("EDDY_KAFKA_BROKERS", "");
    vi.stubEnv("EDDY_NAMESPACE", "");
    expect(new Eddy({ id: "a" }).kafka).toBeNull();
    const given = { brokers: ["b:1", " c:2 "], sasl: { mechanism: "plain", username: "u", password: "p" } } as const;
    expect(new Eddy({ id: "a", kafka: given }).kafka).toEqual({
      brokers: ["b:1", "c:2"],
      namespace: "default",
      ssl: undefined,
      sasl: given.sasl,
      clientId: "eddy-js",
    });
    vi.stubEnv("EDDY_KAFKA_BROKERS", " k:1,k:2 ");
    vi.stubEnv("EDDY_NAMESPACE", "shops");
    expect(new Eddy({ id: "a" }).kafka).toMatchObject({ brokers: ["k:1", "k:2"], namespace: "shops" });
    expect(new Eddy({ id: "a", kafka: { brokers: "b:1" } }).kafka).toMatchObject({
      brokers: ["b:1"],
      namespace: "shops",
    });
    expect(new Eddy({ id: "a", baseUrl: "http://other:1/" }).kafka).toBeNull();
  });

  it("shows no secret when it is printed", () => {
    const sasl = { mechanism: "plain", username: "u", password: "hush" } as const;
    expect(inspect(new Eddy({ id: "a", kafka: { brokers: "b:1", sasl } }), { depth: 9 })).not.toContain("hush");
  });

  it.each([
    [{ brokers: "" }, "kafka.brokers"],
    [{ brokers: [] }, "kafka.brokers"],
    [{ brokers: ["b"] }, "kafka.brokers"],
    [{ brokers: "b:1", namespace: "a b" }, "kafka.namespace"],
  ])("refuses Kafka at %j, and so does connect", async (kafka, path) => {
    const problem = { code: "CLIENT_INVALID", path };
    expect(() => new Eddy({ id: "a", kafka })).toThrow(expect.objectContaining(problem) as Error);
    await expect(connect({ apps: [{ client: eddy, functions: [] }], kafka })).rejects.toMatchObject(problem);
  });

  it("names what is no function, and an id that two functions have", async () => {
    const fn = eddy.createFunction({ id: "f", triggers: { event: "e" } }, handler);
    const stray = connect({ apps: [{ client: eddy, functions: [fn, undefined as never] }] });
    const message = "connect: apps[0].functions[1]: expected what createFunction returns";
    await expect(stray).rejects.toMatchObject({ name: "DefinitionError", path: "apps[0].functions[1]", message });
    const twice = connect({ apps: [{ client: eddy, functions: [fn, fn] }] });
    const other = { path: "apps[0].functions", message: 'connect: apps[0].functions: the function "f" is given twice' };
    await expect(twice).rejects.toMatchObject(other);
  });

  it("is called Inngest on the other import path", () => {
    expect(compat.Inngest).toBe(Eddy);
    expect(compat.connect).toBe(connect);
  });
});

describe("eventType", () => {
  it("refuses empty names and what is no Standard Schema", () => {
    expect(() => eventType("")).toThrow("expected a name of 1 to 256 characters");
    expect(() => eventType("e", { schema: {} as never })).toThrow("schema is not a Standard Schema");
    expect(staticSchema()["~standard"].validate(5)).toEqual({ value: 5 });
  });

  it("makes payloads with its version", () => {
    expect(eventType("e", { version: "2" }).create({ a: 1 }, { id: "i" })).toEqual({
      name: "e",
      id: "i",
      data: { a: 1 },
      v: "2",
    });
  });
});

describe("connect", () => {
  const fn = eddy.createFunction({ id: "f", triggers: { event: "e" } }, handler);
  it.each<[string, object, string]>([
    ["no app", { apps: [] }, "apps"],
    ["a function twice", { apps: [{ client: eddy, functions: [fn, fn] }] }, "apps[0].functions"],
    [
      "an app twice",
      {
        apps: [
          { client: eddy, functions: [fn] },
          { client: eddy, functions: [] },
        ],
      },
      "apps",
    ],
    ["no slots", { apps: [{ client: eddy, functions: [fn] }], slots: 0 }, "slots"],
    ["a bad URL", { apps: [{ client: eddy, functions: [fn] }], baseUrl: "x" }, "baseUrl"],
  ])("refuses %s", async (_, options, path) => {
    await expect(connect(options as never)).rejects.toMatchObject({ code: "CLIENT_INVALID", path });
  });
});

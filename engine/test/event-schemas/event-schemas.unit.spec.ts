/** Events by the schemas of a registry: what is refused and where, and what a registry in trouble changes. */
import { beforeEach, describe, expect, it } from "vitest";
import { NO_METER, RequestError, type SubjectSchema } from "@eddy/clients";
import { TransientError } from "@eddy/clients/errors";
import type { EventInput } from "@eddy/schemas";
import { ManualClock } from "../../src/adapters/memory/index.js";
import { EventSchemas, FRESH_MS } from "../../src/event-schemas/event-schemas.js";
import { LinesLogger } from "../gateway/fixtures.js";

const CART = {
  type: "object",
  properties: { cart: { type: "string" }, items: { type: "array", items: { type: "object", required: ["sku"] } } },
  required: ["cart"],
};

describe("schemas of events", () => {
  let registry: Map<string, SubjectSchema>;
  let failing: boolean;
  let asked: string[];
  let clock: ManualClock;
  let schemas: EventSchemas;
  beforeEach(() => {
    registry = new Map([["cart/added-value", { version: 3, type: "JSON", text: JSON.stringify(CART) }]]);
    [failing, asked, clock] = [false, [], new ManualClock(0)];
    const answer = <T>(what: string, value: T): Promise<T> => {
      asked.push(what);
      return failing ? Promise.reject(new TransientError("away")) : Promise.resolve(value);
    };
    const subjects = {
      list: () => answer("list", new Set(registry.keys())),
      latest: (subject: string) => answer(subject, registry.get(subject) ?? null),
    };
    schemas = new EventSchemas({ subjects, clock, logger: new LinesLogger(), meter: NO_METER });
  });

  const added = (data?: Record<string, unknown>): EventInput => ({ name: "cart/added", ...(data && { data }) });
  async function problemOf(...events: readonly EventInput[]): Promise<readonly [string | null, string] | null> {
    try {
      await schemas.check(events);
      return null;
    } catch (error) {
      expect(error).toBeInstanceOf(RequestError);
      const { code, path, message } = error as RequestError;
      expect(code).toBe("INVALID_EVENT");
      return [path, message];
    }
  }

  it("lets through what fits, and what has no schema", async () => {
    expect(await problemOf(added({ cart: "c1", more: 1 }), { name: "other", data: {} })).toBeNull();
    expect(asked).toEqual(["list", "cart/added-value"]);
  });

  it("refuses what does not fit, with the path of the first fault", async () => {
    const by = '(schema of "cart/added", version 3)';
    expect(await problemOf(added({ cart: 7 }))).toEqual(["data.cart", `data.cart: must be string ${by}`]);
    expect(await problemOf(added())).toEqual(["data.cart", `data.cart: must have required property 'cart' ${by}`]);
    const second = added({ cart: "c", items: [{ sku: 1 }, {}] });
    expect((await problemOf(added({ cart: "c" }), second))?.[0]).toBe("[1].data.items[1].sku");
  });

  it("lets through what an app has encrypted", async () => {
    expect(await problemOf(added({ "eddy/sealed": { key: "k", data: "" } }))).toBeNull();
  });

  it("asks for no subject that the registry does not list, whatever senders call their events", async () => {
    for (let i = 0; i < 100; i += 1) await problemOf({ name: `made-up-${i}` });
    expect(asked).toEqual(["list"]);
  });

  it("takes a newer version soon, behind the back of who sends", async () => {
    expect(await problemOf(added({ cart: "c" }))).toBeNull();
    const text = JSON.stringify({ ...CART, required: ["cart", "shop"] });
    registry.set("cart/added-value", { version: 4, type: "JSON", text });
    clock.advance(FRESH_MS);
    expect(await problemOf(added({ cart: "c" })), "it is being asked").toBeNull();
    await new Promise((resolve) => setImmediate(resolve));
    expect((await problemOf(added({ cart: "c" })))?.[0]).toBe("data.shop");
  });

  it("keeps to what it knows while the registry is away, and asks again only after a while", async () => {
    expect(await problemOf(added({ cart: 7 }))).not.toBeNull();
    failing = true;
    clock.advance(FRESH_MS);
    for (let i = 0; i < 10; i += 1) expect(await problemOf(added({ cart: 7 }))).not.toBeNull();
    expect(asked).toHaveLength(4);
  });

  it("takes events while it has never heard from the registry", async () => {
    failing = true;
    expect(await problemOf(added({ cart: 7 }))).toBeNull();
    failing = false;
    expect(await problemOf(added({ cart: 7 })), "it was asked just now").toBeNull();
    clock.advance(FRESH_MS);
    expect(await problemOf(added({ cart: 7 }))).not.toBeNull();
  });

  it("checks nothing by a schema of another kind, or one that cannot be used", async () => {
    registry.set("a-value", { version: 1, type: "AVRO", text: "{}" });
    registry.set("b-value", { version: 1, type: "JSON", text: '{"type":"nonsense"}' });
    expect(await problemOf({ name: "a" }, { name: "b" })).toBeNull();
  });
});

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { errorReply, functionsReply, type FunctionView } from "@eddy/schemas";
import { Peers } from "../../src/gateway/peers.js";
import { appOf, fn, inForce, publishApp, publishApplied, until, world, type World } from "./fixtures.js";
import { FakeOwners, TestGateway } from "./gateway-fixtures.js";

describe("the list of functions", () => {
  let w: World;
  let owners: FakeOwners;
  let faces: readonly TestGateway[];
  let url: string;
  let other: string;

  const cart = fn({
    id: "cart",
    name: "Cart",
    triggers: [{ event: "cart/added" }],
    cancelOn: [{ event: "cart/emptied", match: "data.cart", if: null, timeout: { ms: 5 } }],
    waits: [{ event: "cart/bought", match: null, if: "async.data.id == event.data.id", since: "mark" }],
  });

  beforeEach(async () => {
    w = await world();
    owners = new FakeOwners();
    faces = [owners, new FakeOwners()].map(
      (each) => new TestGateway(w, { owners: each, peers: new Peers("test", 300) }),
    );
    url = (await faces[0]?.listen()) ?? "";
    other = (await faces[1]?.listen()) ?? "";
  });
  afterEach(async () => {
    await Promise.all(faces.map(({ gateway }) => gateway.close()));
    await w.close();
  });

  async function functions(): Promise<readonly FunctionView[]> {
    const reply = await fetch(`${url}/v1/functions`);
    expect(reply.status).toBe(200);
    return functionsReply.parse(await reply.json()).data;
  }

  it("is empty before anything is registered", async () => {
    expect(await functions()).toEqual([]);
  });

  it("shows each function with what it listens to, by app and id", async () => {
    const learned = [
      { functionId: "cart", event: "cart/paid", path: "data.cart", of: "data.cart" },
      { functionId: "other", event: "x", path: "id", of: null },
    ];
    await inForce(w, { ...appOf("shop", 3, [cart, fn({ id: "a" })]), learned });
    await inForce(w, appOf("mail", 4, [fn({ id: "z" })]));
    const found = await functions();
    expect(found.map(({ id }) => id)).toEqual(["mail/z", "shop/a", "shop/cart"]);
    expect(found[2]).toEqual({
      id: "shop/cart",
      app: "shop",
      name: "Cart",
      triggers: cart.triggers,
      cancel_on: cart.cancelOn,
      waits: cart.waits,
      learned_waits: [{ event: "cart/paid", path: "data.cart" }],
      retries: 4,
      version: 3,
      in_force: true,
      workers: 0,
    });
  });

  it("says which registrations are not in force everywhere yet", async () => {
    await publishApp(w.log, appOf("shop", 1, [cart]));
    for (const partition of [0, 1, 2]) await publishApplied(w.log, partition, 1);
    await until("it is known", () => w.registry.laggingAt(1).length === 1);
    expect(await functions()).toMatchObject([{ in_force: false, version: 1 }]);
    await publishApplied(w.log, 3, 1);
    await until("it is applied", () => w.registry.laggingAt(1).length === 0);
    expect(await functions()).toMatchObject([{ in_force: true }]);
  });

  it("counts the workers of all engines, and says where it cannot", async () => {
    await inForce(w, appOf("shop", 1, [cart]));
    for (const [i, face] of faces.entries())
      face.workers = [
        { app: "shop", workers: 2 + i },
        { app: "x", workers: 9 },
      ];
    expect(await functions()).toMatchObject([{ workers: 2 }]);
    for (const partition of [1, 3]) owners.elsewhere.set(partition, other);
    expect(await functions()).toMatchObject([{ workers: 5 }]);
    owners.elsewhere.set(3, null);
    expect(await functions()).toMatchObject([{ workers: null }]);
    owners.elsewhere.set(3, other);
    await faces[1]?.gateway.close();
    expect(await functions()).toMatchObject([{ workers: null }]);
  });

  it("tells its workers to other engines alone", async () => {
    expect((await fetch(`${url}/internal/workers`)).status).toBe(404);
  });

  it("answers 503 where the registry cannot be read for long, 400 for unknown parameters", async () => {
    expect((await fetch(`${url}/v1/functions?app=shop`)).status).toBe(400);
    await w.registry.close();
    w.clock.advance(10_000);
    let reply: Response | null = null;
    void fetch(`${url}/v1/functions`).then((answer) => (reply = answer));
    const answer: Response = await until("an answer", () => {
      w.clock.advance(50);
      return reply;
    });
    expect(answer.status).toBe(503);
    expect(errorReply.parse(await answer.json()).error.code).toBe("UNAVAILABLE");
  });
});

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TransientError } from "../../../clients/src/errors/codes.js";
import { RegistryView, VIEW_AGE_MS_MAX } from "../../../clients/src/registry/registry-view.js";
import {
  appOf,
  fn,
  inForce,
  PARTITIONS,
  publishApp,
  publishApplied,
  settle,
  TOPICS,
  until,
  world,
  type World,
} from "./fixtures.js";

const cart = fn({
  id: "cart",
  triggers: [{ event: "cart/added" }],
  waits: [{ event: "cart/purchased", match: "data.cart" }],
});
const never = new AbortController().signal;

describe("registry view", () => {
  let w: World;
  beforeEach(async () => {
    w = await world();
  });
  afterEach(() => w.close());

  it("routes by what the registry says, and follows it", async () => {
    expect(w.registry.route("cart/added").paths).toEqual([]);
    await inForce(w, appOf("shop", 1, [cart]));
    expect(w.registry.route("cart/added")).toEqual({ paths: ["data.cart"], anchors: ["data.cart"] });
    expect(w.registry.route("cart/purchased")).toEqual({ paths: ["data.cart"], anchors: [] });
    await inForce(w, appOf("shop", 2, []));
    expect(w.registry.route("cart/added").paths).toEqual([]);
  });

  it("has all that the registry held when it started", async () => {
    await publishApp(w.log, appOf("b", 2, [cart]));
    await publishApp(w.log, appOf("a", 1, [cart]));
    const later = new RegistryView({ ...w, topic: TOPICS.registry, partitions: PARTITIONS });
    await later.start();
    expect(later.isCaughtUp).toBe(true);
    expect(later.apps.map(({ app }) => app)).toEqual(["a", "b"]);
    await later.close();
  });

  it("is not moved back by repeats of an older registration", async () => {
    const old = appOf("shop", 1, [cart]);
    await inForce(w, appOf("shop", 2, []));
    await publishApp(w.log, old);
    await publishApplied(w.log, 0, 1);
    await settle();
    expect(w.registry.app("shop")?.version).toBe(2);
    expect(w.registry.laggingAt(2)).toEqual([]);
  });

  it("holds a registration back until every partition has applied it", async () => {
    const config = appOf("shop", 3, [cart]);
    let isInForce = false;
    void w.registry.waitUntilInForce("shop", config.digest, never).then(() => (isInForce = true));
    await publishApp(w.log, config);
    for (const p of [0, 1, 3]) await publishApplied(w.log, p, 3);
    await settle();
    expect(isInForce).toBe(false);
    expect(w.registry.laggingAt(3)).toEqual([2]);
    await publishApplied(w.log, 2, 4);
    await until("in force", () => isInForce);
  });

  it("resolves for a registration that is replaced at once by another of the same app", async () => {
    const mine = appOf("shop", 1, [cart]);
    const waiting = w.registry.waitUntilInForce("shop", mine.digest, never);
    await publishApp(w.log, mine);
    await publishApp(w.log, appOf("shop", 2, []));
    for (let p = 0; p < PARTITIONS; p += 1) await publishApplied(w.log, p, 2);
    expect((await waiting).version).toBe(1);
  });

  it("says who lags when the wait is given up", async () => {
    const config = appOf("shop", 1, [cart]);
    const stop = new AbortController();
    const waiting = w.registry.waitUntilInForce("shop", config.digest, stop.signal);
    const failed = expect(waiting).rejects.toThrow(/partitions 0, 2, 3/);
    await publishApp(w.log, config);
    await publishApplied(w.log, 1, 1);
    await settle();
    stop.abort();
    await failed;
    await expect(w.registry.waitUntilInForce("other", "x", stop.signal)).rejects.toThrow(/not been numbered/);
  });

  it("leaves out a record that does not decode", async () => {
    await w.log.append(TOPICS.registry, 0, [{ key: "app/x", value: new Uint8Array([1, 0, 193]) }]);
    await inForce(w, appOf("shop", 1, [cart]));
    expect(w.logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
  });

  it("does not let anybody send by a view older than 5 s", async () => {
    await w.registry.whenFresh();
    await w.registry.close();
    // The last read before the close is at most one second old.
    w.clock.advance(VIEW_AGE_MS_MAX - 1_000);
    await w.registry.whenFresh();
    w.clock.advance(1_001);
    const failed = expect(w.registry.whenFresh()).rejects.toThrow(TransientError);
    let isOver = false;
    void failed.then(() => (isOver = true));
    await until("given up", () => {
      w.clock.advance(50);
      return isOver;
    });
    await failed;
  });

  it("is fresh again after the clock of this machine has jumped", async () => {
    w.clock.advance(3_600_000);
    await settle();
    await w.registry.whenFresh();
  });
});

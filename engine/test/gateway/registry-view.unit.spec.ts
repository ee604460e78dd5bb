import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeRegistry, SETTLE_MS } from "@eddy/schemas";
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

  it("routes names that a wildcard stands for", async () => {
    await inForce(w, appOf("shop", 1, [fn({ id: "all", triggers: [{ event: "cart/*" }], waits: cart.waits })]));
    expect(w.registry.route("cart/whatever")).toEqual({ paths: ["data.cart"], anchors: ["data.cart"] });
    expect(w.registry.route("other")).toEqual({ paths: [], anchors: [] });
  });

  it("knows up to which registration all are applied everywhere", async () => {
    expect(w.registry.inForceVersion).toBe(0);
    for (const p of [0, 1, 3]) await publishApplied(w.log, p, 7);
    await settle();
    expect(w.registry.inForceVersion).toBe(0);
    await publishApplied(w.log, 2, 5);
    await until("the last one", () => w.registry.inForceVersion > 0);
    expect(w.registry.inForceVersion).toBe(5);
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

  it("is fresh for as long as it follows the log, and a few seconds more", async () => {
    const { readAtMs } = await w.registry.whenFresh();
    await w.registry.close();
    w.clock.set(readAtMs + VIEW_AGE_MS_MAX);
    expect(w.registry.isFresh).toBe(true);
    w.clock.advance(1);
    expect(w.registry.isFresh).toBe(false);
  });

  it("is fresh again after the clock of this machine has jumped", async () => {
    w.clock.advance(3_600_000);
    await settle();
    await w.registry.whenFresh();
  });
});

/** 20 s where the namespace does not say otherwise: routes by a view of up to 5 s, appends until 8 s, answers until 18 s. */
describe("a registry view that is sent by", () => {
  let w: World;
  /** Calls for the end of the registry; while it is set they never answer. */
  let isSilent: boolean;
  let asked: number;
  beforeEach(async () => {
    w = await world();
    asked = 0;
    isSilent = false;
    const { offsets } = w.log;
    w.log.offsets = (topic, partition) => {
      asked += 1;
      return isSilent ? new Promise(() => undefined) : offsets(topic, partition);
    };
  });
  afterEach(() => w.close());

  /** Nothing more is heard of the registry: the read under way answers empty, and then no more. */
  async function cutOff(): Promise<void> {
    isSilent = true;
    w.log.isReadable = false;
    await settle();
  }
  async function outcomeOf(work: Promise<unknown> | void): Promise<string> {
    let outcome: string | null = null;
    void Promise.resolve(work).then(
      () => (outcome = "fine"),
      (error: unknown) => (outcome = error instanceof TransientError ? "not now" : String(error)),
    );
    await settle();
    return until("an outcome", () => {
      if (outcome === null) w.clock.advance(50);
      return outcome;
    });
  }

  it("is young, or is looked at again without waiting", async () => {
    w.log.isReadable = false;
    const first = await w.registry.whenFresh();
    expect(asked).toBe(0);
    w.clock.set(first.readAtMs + 5_000);
    await w.registry.whenFresh();
    expect(asked).toBe(0);
    w.clock.advance(1);
    const { readAtMs } = await w.registry.whenFresh();
    expect(asked).toBe(1);
    expect(readAtMs).toBe(w.clock.nowMs());
  });

  it("is looked at once by all who wait", async () => {
    w.log.isReadable = false;
    w.clock.advance(5_001);
    await Promise.all(Array.from({ length: 100 }, () => w.registry.whenFresh()));
    expect(asked).toBe(1);
  });

  it("is asked for again only after a pause where asking fails at once", async () => {
    w.log.isReadable = false;
    let asked = 0;
    w.log.offsets = () => {
      asked += 1;
      return Promise.reject(new TransientError("not now"));
    };
    w.clock.advance(VIEW_AGE_MS_MAX + 1);
    const caughtUp = w.registry.catchUp().then(
      () => null,
      (error: unknown) => error,
    );
    await settle();
    expect(asked).toBe(1);
    let outcome: unknown = null;
    void caughtUp.then((error) => (outcome = error));
    for (let passedMs = 50; passedMs <= 2_000; passedMs += 50) {
      expect(outcome).toBeNull();
      w.clock.advance(50);
      await settle();
    }
    expect(outcome).toBeInstanceOf(TransientError);
    expect(asked).toBe(40);
  });

  it("is not asked for without a pause where the clock was set back", async () => {
    w.log.isReadable = false;
    let asked = 0;
    let answer = (): void => undefined;
    const { offsets } = w.log;
    w.log.offsets = async (topic, partition) => {
      asked += 1;
      await new Promise<void>((resolve) => (asked === 1 ? (answer = resolve) : setImmediate(resolve)));
      return offsets(topic, partition);
    };
    w.clock.advance(VIEW_AGE_MS_MAX + 1);
    const first = w.registry.catchUp();
    w.clock.advance(10);
    const second = w.registry.catchUp();
    w.clock.advance(-60_000);
    answer();
    await first;
    await settle();
    expect(asked).toBe(2);
    expect(await outcomeOf(second)).toBe("not now");
  });

  it("is not sent by once it is too old and nothing more is heard", async () => {
    await cutOff();
    w.clock.advance(5_001);
    expect(await outcomeOf(w.registry.whenFresh())).toBe("not now");
  });

  it("waits for what the look tells of, and has it then", async () => {
    w.log.isReadable = false;
    w.clock.advance(5_001);
    await publishApp(w.log, appOf("shop", 1, [cart]));
    const fresh = w.registry.whenFresh();
    await settle();
    expect(w.registry.route("cart/added").paths).toEqual([]);
    w.log.isReadable = true;
    await outcomeOf(fresh);
    expect(w.registry.route("cart/added").paths).toEqual(["data.cart"]);
  });

  it("says the version that is in force, not one that is only registered", async () => {
    await inForce(w, appOf("shop", 3, [cart]));
    await publishApp(w.log, appOf("other", 4, [cart]));
    await until("the next one", () => w.registry.app("other"));
    expect((await w.registry.whenFresh()).version).toBe(3);
  });

  it.each<["checkAppend" | "checkAnswer", number]>([
    ["checkAppend", 8_000],
    ["checkAnswer", 18_000],
  ])("%s asks nobody until %i ms after it was read, whatever is registered meanwhile", async (check, lastMs) => {
    const view = await w.registry.whenFresh();
    await inForce(w, appOf("shop", 1, [cart]));
    await cutOff();
    w.clock.set(view.readAtMs + lastMs);
    expect(await outcomeOf(w.registry[check](view))).toBe("fine");
    expect(asked).toBe(0);
    w.clock.set(view.readAtMs + lastMs + 1);
    expect(await outcomeOf(w.registry[check](view))).toBe("not now");
  });

  it.each(["checkAppend", "checkAnswer"] as const)(
    "%s, later, needs a look that shows no other routes",
    async (check) => {
      const view = await w.registry.whenFresh();
      w.clock.advance(60_000);
      expect(await outcomeOf(w.registry[check](view))).toBe("fine");
      await publishApp(w.log, appOf("shop", 1, [cart]));
      w.clock.advance(60_000);
      expect(await outcomeOf(w.registry[check](view))).toBe("not now");
      expect(await outcomeOf(w.registry[check](await w.registry.whenFresh()))).toBe("fine");
    },
  );

  it("goes by the settle time of its namespace, in the same shares", async () => {
    const entry = { kind: "namespace", partitions: PARTITIONS, dev: true, settleMs: 400 } as const;
    expect(w.registry.settleMs).toBe(SETTLE_MS);
    await w.log.append(TOPICS.registry, 0, [{ key: "namespace", value: encodeRegistry(entry) }]);
    await until("the namespace", () => w.registry.namespace);
    expect(w.registry.settleMs).toBe(400);
    w.clock.advance(101);
    const view = await w.registry.whenFresh();
    expect(view.readAtMs).toBe(w.clock.nowMs());
    await cutOff();
    w.clock.set(view.readAtMs + 360);
    expect(await outcomeOf(w.registry.checkAnswer(view))).toBe("fine");
    expect(await outcomeOf(w.registry.checkAppend(view))).toBe("not now");
  });
});

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { canon, LIMITS, partitionOf, type EventInput, type InboxRecordOf } from "@eddy/schemas";
import { BadRecordError, TransientError } from "../../../clients/src/errors/codes.js";
import type { GeneratedIds } from "../../../clients/src/send/event-sender.js";
import { EventSender } from "../../../clients/src/send/event-sender.js";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import {
  appOf,
  fn,
  inboxOfKind,
  inForce,
  PARTITIONS,
  publishApp,
  settle,
  TOPICS,
  until,
  world,
  type World,
} from "./fixtures.js";

const cart = fn({
  id: "cart",
  triggers: [{ event: "cart/added" }],
  cancelOn: [{ event: "cart/added", match: "data.cart", timeout: { ms: 1_000 } }],
  waits: [{ event: "cart/purchased", match: "data.cart" }],
});
/** Its event is seen by two keys. */
const order = fn({
  id: "order",
  triggers: [{ event: "order/made" }],
  waits: [
    { event: "order/paid", match: "data.order" },
    { event: "customer/left", match: "data.customer" },
  ],
});
const NONE: GeneratedIds = new Set();

const partitionOfValue = (value: unknown): number => partitionOf(canon(value) as string, PARTITIONS);
/** The first value with this prefix that lies on `partition`. */
function valueOn(partition: number, prefix: string): string {
  for (let i = 0; ; i += 1) if (partitionOfValue(`${prefix}${i}`) === partition) return `${prefix}${i}`;
}

describe("sender", () => {
  let w: World;
  let sender: EventSender;
  let made = 0;
  beforeEach(async () => {
    w = await world();
    made = 0;
    sender = new EventSender({ ...w, meter: NO_METER, advanceMs: () => 500, makeId: () => `made-${++made}` });
    await inForce(w, appOf("shop", 1, [cart, order]));
  });
  afterEach(() => w.close());

  const eventsOn = (partition: number): Promise<readonly InboxRecordOf<"event">[]> =>
    inboxOfKind(w.log, partition, "event");
  const idsOn = async (partition: number): Promise<string[]> => (await eventsOn(partition)).map(({ id }) => id);
  const parse = ({ payload }: InboxRecordOf<"event">): unknown => JSON.parse(new TextDecoder().decode(payload));

  it("writes one copy to the partition of the match value, with values and the whole event", async () => {
    const event = { name: "cart/purchased", id: "e1", ts: 5, data: { cart: "c-1" }, user: { email: "a@b.c" } };
    expect(await sender.send([event], NONE)).toEqual(["e1"]);
    const [copy] = await eventsOn(partitionOfValue("c-1"));
    expect(copy).toMatchObject({ id: "e1", idFrom: "user", name: "cart/purchased", tsMs: 5 });
    expect(copy?.values).toEqual([
      ["data.cart", "s:c-1"],
      ["id", "s:e1"],
    ]);
    expect(copy && parse(copy)).toEqual(event);
    expect(w.log.appends.filter(({ records }) => records.some(({ key }) => key === "s:c-1"))).toHaveLength(1);
  });

  it("makes ids and times that are missing: stream time, so that a moved clock does not lie", async () => {
    const [id] = await sender.send([{ name: "cart/added", data: { cart: 7 } }], NONE);
    expect(id).toBe("made-1");
    const [copy] = await eventsOn(partitionOfValue(7));
    expect(copy).toMatchObject({ id: "made-1", idFrom: "generated", tsMs: w.clock.nowMs() + 500 });
    expect(copy && parse(copy)).toMatchObject({ id: "made-1", ts: w.clock.nowMs() + 500 });
  });

  it.each<[string, GeneratedIds, string[]]>([
    ["none", NONE, ["user", "user", "generated"]],
    ["all", "all", ["generated", "generated", "generated"]],
    ["some", new Set([1]), ["user", "generated", "generated"]],
  ])("knows who made an id: %s of the given ones by the SDK", async (_, generated, expected) => {
    const event = { name: "cart/added", data: { cart: "c" } };
    await sender.send([{ ...event, id: "a" }, { ...event, id: "b" }, event], generated);
    expect((await eventsOn(partitionOfValue("c"))).map(({ idFrom }) => idFrom)).toEqual(expected);
  });

  it("says the home, and the version that was in force when it was routed", async () => {
    await publishApp(w.log, appOf("other", 9, [order]));
    await until("the next registration", () => w.registry.app("other"));
    const data = { order: valueOn(3, "o"), customer: valueOn(1, "c") };
    await sender.send([{ name: "order/made", id: "two", data }], NONE);
    const [[home], [copy]] = [await eventsOn(1), await eventsOn(3)];
    expect(home).toMatchObject({ id: "two", version: 1, home: 1, origin: null });
    expect(copy).toEqual(home);
  });

  it("sends copies to lanes and constants, as to all other paths", async () => {
    const lanes = fn({
      id: "lanes",
      triggers: [{ event: "lane/made" }],
      waits: [{ event: "lane/any" }, { event: "lane/kind", if: 'async.data.kind == "a"' }],
    });
    await inForce(w, appOf("lanes", 2, [lanes]));
    await sender.send([{ name: "lane/any", id: "x", data: {} }], NONE);
    const lane = partitionOf("l:lane/any", PARTITIONS);
    expect((await eventsOn(lane)).map(({ id, values }) => [id, values])).toEqual([
      [
        "x",
        [
          ["=l:lane/any", "l:lane/any"],
          ["id", "s:x"],
        ],
      ],
    ]);
  });

  describe("G1: within the time that senders have after a registration", () => {
    /** Time passes while copies of an event with two are appended. @returns what the sender was told. */
    async function sendSlowly(ms: number, meanwhile: () => Promise<void>): Promise<string> {
      w.log.beforeAppend = async ({ topic, partition }) => {
        if (topic !== TOPICS.inbox || partition !== 1) return;
        await meanwhile();
        w.clock.advance(ms);
      };
      const data = { order: valueOn(3, "o"), customer: valueOn(1, "c") };
      return sender.send([{ name: "order/made", id: "two", data }], NONE).then(
        () => "sent",
        (error: unknown) => (error instanceof TransientError ? "send again" : String(error)),
      );
    }
    const nothing = (): Promise<void> => Promise.resolve();
    const registers = async (): Promise<void> => {
      w.log.beforeAppend = () => undefined;
      await inForce(w, appOf("late", 2, [fn({ id: "late", waits: [{ event: "order/made", match: "data.other" }] })]));
    };

    it("an event may be sent by what was known before", async () => {
      expect(await sendSlowly(7_000, registers)).toBe("sent");
      expect((await eventsOn(3)).map(({ version }) => version)).toEqual([1]);
    });

    it("what takes longer goes on where nothing was registered", async () => {
      expect(await sendSlowly(60_000, nothing)).toBe("sent");
      expect(await idsOn(3)).toEqual(["two"]);
    });

    it("what takes longer is not sent on by old routes, and not called sent; then it is, by new ones", async () => {
      expect(await sendSlowly(9_000, registers)).toBe("send again");
      expect([await idsOn(1), await idsOn(3)]).toEqual([["two"], []]);
      expect(await sendSlowly(0, nothing)).toBe("sent");
      expect((await eventsOn(3)).map(({ version }) => version)).toEqual([2]);
    });

    it("what was written too late by old routes is not called sent", async () => {
      let isSlow = true;
      w.log.beforeAppend = async ({ topic, partition }) => {
        if (topic !== TOPICS.inbox || partition !== 3 || !isSlow) return;
        isSlow = false;
        await registers();
        w.clock.advance(18_001);
      };
      const event = { name: "order/paid", id: "one", data: { order: valueOn(3, "o") } };
      await expect(sender.send([event], NONE)).rejects.toThrow("send the same ids again");
      expect(await idsOn(3)).toEqual(["one"]);
    });
  });

  it("stores an event that nobody listens to, on the partition of its id", async () => {
    await sender.send([{ name: "nobody/listens", id: "lost", data: { cart: "c" } }], NONE);
    expect(await idsOn(partitionOfValue("lost"))).toEqual(["lost"]);
  });

  it("stores an event without its match value on the partition of its id", async () => {
    await sender.send([{ name: "cart/added", id: "no-cart", data: { cart: null } }], NONE);
    expect(await idsOn(partitionOfValue("no-cart"))).toEqual(["no-cart"]);
  });

  it("G1: acknowledges the home copy before it sends the others", async () => {
    const release: (() => void)[] = [];
    w.log.beforeAppend = () => new Promise((resolve) => release.push(resolve));
    const data = { order: valueOn(3, "o"), customer: valueOn(1, "c") };
    let isDone = false;
    void sender.send([{ name: "order/made", id: "two", data }], NONE).then(() => (isDone = true));
    await until("the home copy leaves", () => release.length === 1);
    await settle();
    expect(release).toHaveLength(1);
    release[0]?.();
    await until("the other copy leaves", () => release.length === 2);
    expect(await idsOn(1)).toEqual(["two"]);
    expect(isDone).toBe(false);
    release[1]?.();
    await until("the answer", () => isDone);
    expect(await idsOn(3)).toEqual(["two"]);
  });

  it("does not send a later copy along with an earlier event before its home copy is acknowledged", async () => {
    let release = (): void => undefined;
    w.log.beforeAppend = ({ partition }) =>
      partition === 1 ? new Promise((resolve) => (release = resolve)) : undefined;
    const [on1, on3] = [valueOn(1, "c"), valueOn(3, "o")];
    const sent = sender.send(
      [
        { name: "order/paid", id: "single", data: { order: on3 } },
        { name: "order/made", id: "double", data: { order: on3, customer: on1 } },
        { name: "order/paid", id: "behind", data: { order: on3 } },
      ],
      NONE,
    );
    await until("the first leaves", async () => (await idsOn(3)).length > 0);
    await settle();
    expect(await idsOn(3)).toEqual(["single"]);
    release();
    await sent;
    expect(await idsOn(3)).toEqual(["single", "double", "behind"]);
  });

  it("keeps a partition's order where it is refused half-way and repeated; else the first copy stands", async () => {
    const [near, far] = [valueOn(1, "c"), valueOn(3, "o")];
    const paid = (id: string, orderKey: unknown): EventInput => ({ name: "order/paid", id, data: { order: orderKey } });
    const events = [paid("near", near), paid("far", far), paid("nearer", near)];
    w.log.beforeAppend = ({ partition }) => {
      if (partition === 1) throw new BadRecordError("refused");
    };
    await expect(sender.send(events, NONE)).rejects.toThrow("refused");
    expect([await idsOn(1), await idsOn(3)]).toEqual([[], ["far"]]);
    w.log.beforeAppend = () => undefined;
    expect(await sender.send(events, NONE)).toEqual(["near", "far", "nearer"]);
    expect([await idsOn(1), await idsOn(3)]).toEqual([
      ["near", "nearer"],
      ["far", "far"],
    ]);
  });

  it("keeps the order of one request on every partition, whatever copies wait for", async () => {
    const [on0, on1, on2, on3] = [0, 1, 2, 3].map((p) => valueOn(p, "v"));
    const made = (id: string, orderKey: unknown, customer: unknown): EventInput => ({
      name: "order/made",
      id,
      data: { order: orderKey, customer },
    });
    const events = [
      made("a", on3, on0),
      made("b", on3, on3),
      made("c", on1, on3),
      made("d", on0, on1),
      made("e", on3, on2),
      made("f", on3, on3),
    ];
    expect(await sender.send(events, NONE)).toEqual(["a", "b", "c", "d", "e", "f"]);
    expect(await idsOn(0)).toEqual(["a", "d"]);
    expect(await idsOn(1)).toEqual(["c", "d"]);
    expect(await idsOn(2)).toEqual(["e"]);
    expect(await idsOn(3)).toEqual(["a", "b", "c", "e", "f"]);
  });

  it("sends 5,000 events to one key in order, in few appends", async () => {
    const before = w.log.appends.length;
    const events = Array.from({ length: LIMITS.eventsPerRequestMax }, (_, i) => ({
      name: "cart/added",
      id: `n${i}`,
      data: { cart: "one" },
    }));
    const ids = await sender.send(events, NONE);
    expect(await idsOn(partitionOfValue("one"))).toEqual(ids);
    expect(w.log.appends.length - before).toBeLessThan(5);
  });

  it("gathers concurrent requests into shared appends", async () => {
    const before = w.log.appends.length;
    const event = { name: "cart/added", data: { cart: "one" } };
    await Promise.all(Array.from({ length: 200 }, () => sender.send([event], NONE)));
    expect(await eventsOn(partitionOfValue("one"))).toHaveLength(200);
    expect(w.log.appends.length - before).toBeLessThan(10);
  });

  it("G6: fails as a whole when the log does not take a copy, and never before all is settled", async () => {
    w.log.beforeAppend = ({ partition }) => {
      if (partition === 1) throw new TransientError("not now");
    };
    const data = { order: valueOn(3, "o"), customer: valueOn(1, "c") };
    const failed = expect(sender.send([{ name: "order/made", id: "x", data }], NONE)).rejects.toThrow(TransientError);
    let isOver = false;
    void failed.then(() => (isOver = true));
    await until("it fails", () => {
      w.clock.advance(200);
      return isOver;
    });
    await failed;
    expect(await idsOn(3)).toEqual([]);
  });

  it.each([
    ["large", { big: "x".repeat(LIMITS.eventBytesMax) }, "EVENT_TOO_LARGE"],
    ["deep", JSON.parse("[".repeat(200_000) + "]".repeat(200_000)) as unknown, "INVALID_EVENT"],
  ])("refuses an event that is too %s before anything is sent", async (_, value, code) => {
    const events = [
      { name: "cart/added", id: "fine", data: { cart: "c" } },
      { name: "cart/added", data: { value } },
    ];
    await expect(sender.send(events, NONE)).rejects.toMatchObject({ code, path: "[1]" });
    expect(await eventsOn(partitionOfValue("c"))).toEqual([]);
  });

  it("takes an event of exactly the largest size", async () => {
    const empty = new TextEncoder().encode(JSON.stringify({ name: "n", id: "i", ts: 1, data: { pad: "" } })).byteLength;
    const exact = { name: "n", id: "i", ts: 1, data: { pad: "x".repeat(LIMITS.eventBytesMax - empty) } };
    expect(await sender.send([exact], NONE)).toEqual(["i"]);
    const over = { ...exact, data: { pad: `${exact.data.pad}x` } };
    await expect(sender.send([over], NONE)).rejects.toMatchObject({ code: "EVENT_TOO_LARGE", path: null });
  });
});

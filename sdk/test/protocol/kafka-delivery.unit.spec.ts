/** Sending over Kafka: what the gateway would answer, without one. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appConfig, configDigest, encodeRegistry, LIMITS, type InboxRecordOf } from "@eddy/schemas";
import { ConfigError } from "@eddy/clients/errors";
import { EventSender } from "../../src/protocol/event-sender.js";
import { KafkaDelivery, OPEN_MS_MAX } from "../../src/protocol/kafka-delivery.js";
import { ManualClock, memoryLogger, turns, until } from "../manual-clock.js";
import { away, MemoryNamespace, SETTINGS, TOPICS } from "../worker/memory-namespace.js";

let namespace: MemoryNamespace;
let clock: ManualClock;
let slept: number[];
let sender: EventSender;
let made: number;

beforeEach(async () => {
  namespace = await new MemoryNamespace().make();
  clock = new ManualClock();
  slept = [];
  made = 0;
  const delivery = new KafkaDelivery({ hold: () => namespace.accesses.hold(SETTINGS, memoryLogger()), clock });
  sender = new EventSender({
    delivery,
    known: new Map(),
    sleep: async (ms) => void slept.push(ms),
    random: () => 0,
    makeId: () => `made-${++made}`,
  });
});
afterEach(async () => {
  await sender.close();
  await namespace.close();
});

async function sent(): Promise<readonly InboxRecordOf<"event">[]> {
  const all = await Promise.all([0, 1].map((partition) => namespace.inboxOf(partition, "event")));
  return all.flat().sort((a, b) => a.id.localeCompare(b.id));
}
const payloadOf = ({ payload }: InboxRecordOf<"event">): unknown => JSON.parse(new TextDecoder().decode(payload));

/** Lets log time pass until the promise settles. */
async function passing<T>(promise: Promise<T>): Promise<PromiseSettledResult<T>> {
  let isSettled = false;
  const settled = Promise.allSettled([promise]).finally(() => (isSettled = true));
  for (let step = 0; step < 2_000 && !isSettled; step += 1) {
    namespace.clock.advance(100);
    await turns(3);
  }
  return (await settled)[0] as PromiseSettledResult<T>;
}

describe("events over Kafka", () => {
  it("are in the log when send resolves, with their ids, marked as generated or the user's own", async () => {
    const reply = await sender.send([{ name: "a" }, { name: "b", id: "mine", data: { n: 1 } }, { name: "c" }]);
    expect(reply).toEqual({ ids: ["made-1", "mine", "made-2"] });
    expect((await sent()).map(({ id, idFrom, name }) => [id, idFrom, name])).toEqual([
      ["made-1", "generated", "a"],
      ["made-2", "generated", "c"],
      ["mine", "user", "b"],
    ]);
  });

  it("are what JSON makes of them, also where they are routed by", async () => {
    const config = appConfig.parse({
      app: "shop",
      functions: [
        {
          id: "f",
          name: "f",
          triggers: [{ event: "go", if: null }],
          cancelOn: [{ event: "go", match: "data.at", if: null, timeout: null }],
          waits: [],
          retries: 4,
        },
      ],
    });
    const digest = configDigest(config.app, config.functions);
    const value = encodeRegistry({
      kind: "app",
      config: { ...config, anchors: [], learned: [], retired: [], former: [], version: 1, digest },
    });
    await namespace.log.append(TOPICS.registry, 0, [{ key: "app/shop", value }]);
    await sender.send({ name: "go", data: { at: new Date(5), gone: undefined } });
    const [event] = await sent();
    expect(event?.values).toContainEqual(["data.at", "s:1970-01-01T00:00:00.005Z"]);
    expect(payloadOf(event as InboxRecordOf<"event">)).toMatchObject({ data: { at: "1970-01-01T00:00:00.005Z" } });
  });

  it("share connections with others of this process, and open them once", async () => {
    await sender.send({ name: "a" });
    await sender.send({ name: "b" });
    const other = namespace.accesses.hold(SETTINGS, memoryLogger());
    await other.ready();
    expect(namespace.connections).toEqual(["open"]);
    await sender.close();
    expect(namespace.connections).toEqual(["open"]);
    await other.release();
    expect(namespace.connections).toEqual(["open", "close"]);
  });

  it.each([
    ["EVENT_TOO_LARGE", 413, "[1]", [{ name: "a" }, { name: "a", data: { x: "y".repeat(LIMITS.eventBytesMax) } }]],
    ["INVALID_EVENT", 400, "data", { name: "a", data: { toJSON: () => 5 } }],
    ["INVALID_EVENT", 400, "[0].name", [{ name: "a", toJSON: () => ({ id: "x" }) }]],
    ["REQUEST_TOO_LARGE", 413, null, Array.from({ length: 70 }, () => ({ name: "a", data: { x: "y".repeat(1e6) } }))],
  ])("are refused with %s, as by the gateway", async (code, status, path, events) => {
    await expect(sender.send(events as never)).rejects.toMatchObject({ name: "SendError", code, status, path });
    expect([slept, await sent()]).toEqual([[], []]);
  });

  it("are tried again with the same ids when the log does not take them, then UNAVAILABLE", async () => {
    await sender.send({ name: "first" });
    namespace.beforeAppend = () => {
      throw away();
    };
    const result = await passing(sender.send({ name: "a" }));
    expect(result).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE", status: 503 } });
    expect(slept).toHaveLength(5);
    let failures = 10;
    namespace.beforeAppend = () => {
      if (failures-- > 0) throw away();
    };
    expect(await passing(sender.send({ name: "b" }))).toEqual({ status: "fulfilled", value: { ids: ["made-3"] } });
    expect((await sent()).map(({ id }) => id)).toEqual(["made-1", "made-3"]);
  });

  it("are not sent by a registry view that is too old", async () => {
    await sender.send({ name: "a" });
    namespace.trouble = away();
    namespace.clock.advance(1_000); // Ends the read that waits.
    await turns(50);
    namespace.clock.advance(5_001);
    const result = await passing(sender.send({ name: "b" }));
    expect(result).toMatchObject({
      reason: { code: "UNAVAILABLE", status: 503, message: expect.stringContaining("registered") as string },
    });
    expect(await sent()).toHaveLength(1);
  });

  it("wait for a first connection, but not for ever: the error says for what", async () => {
    namespace.trouble = away();
    const sending = sender.send({ name: "a" });
    const refused = expect(sending).rejects.toMatchObject({
      code: "SEND_FAILED",
      message: "no answer from Kafka: still waiting for a broker at nowhere:1: no broker answers",
    });
    await turns(20);
    await clock.advance(OPEN_MS_MAX);
    await refused;
    namespace.trouble = null;
    const later = sender.send({ name: "b" });
    namespace.clock.advance(5_000);
    await expect(later).resolves.toEqual({ ids: ["made-2"] });
    expect(clock.timers).toBe(0);
  });

  it("say that no engine has made the namespace yet", async () => {
    await namespace.close();
    namespace = new MemoryNamespace();
    const refused = expect(sender.send({ name: "a" })).rejects.toThrow(/none has made the namespace test yet/);
    await turns(50);
    await clock.advance(OPEN_MS_MAX);
    await refused;
  });

  it("are refused where no waiting will help, and tried anew by the next send", async () => {
    namespace.trouble = new ConfigError("the password is wrong");
    await expect(sender.send({ name: "a" })).rejects.toMatchObject({ code: "CONFIG_INVALID", status: null });
    namespace.trouble = null;
    await expect(sender.send({ name: "b" })).resolves.toEqual({ ids: ["made-2"] });
  });

  it("are refused by a client that is closed, also those that wait", async () => {
    namespace.trouble = away();
    const waiting = expect(sender.send({ name: "a" })).rejects.toMatchObject({ code: "SEND_FAILED" });
    await turns(20);
    await sender.close();
    await waiting;
    await expect(sender.send({ name: "b" })).rejects.toThrow("this client is closed");
    await until(() => clock.timers === 0);
  });
});

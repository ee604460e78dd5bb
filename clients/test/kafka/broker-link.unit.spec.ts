import { beforeEach, describe, expect, it } from "vitest";
import { BrokerLink } from "../../src/kafka/broker-link.js";
import { UnansweredError } from "../../src/kafka/kafka-errors.js";
import type { KafkaJsBroker } from "../../src/kafka/kafkajs-internals.js";
import { NEEDED_VERSIONS } from "../../src/kafka/requests.js";
import { ConfigError } from "../../src/errors/codes.js";

const ADDRESS = { host: "b", port: 1, nodeId: 7 };

/** As kafkajs's broker behaves while it connects: connected as soon as the socket is, ready only later. */
class HalfConnected {
  isReady = false;
  connects = 0;
  dropped: string[] = [];
  versions: Record<number, { minVersion: number; maxVersion: number }> = Object.fromEntries(
    NEEDED_VERSIONS.map(([apiKey, version]) => [apiKey, { minVersion: 0, maxVersion: version }]),
  );
  #socketIsOpen = false;
  #becomeReady: () => void = () => undefined;
  readonly connectionPool = {
    pool: [{ rejectRequests: (error: Error) => void this.dropped.push(error.message) }],
  };

  isConnected(): boolean {
    return this.#socketIsOpen;
  }
  connect(): Promise<void> {
    this.connects += 1;
    this.#socketIsOpen = true;
    return new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
  }
  disconnect(): Promise<void> {
    this.#socketIsOpen = false;
    return Promise.resolve();
  }
  finishConnecting(): void {
    this.isReady = true;
    this.#becomeReady();
  }
}

describe("a connection to a broker", () => {
  let broker: HalfConnected;
  let troubles: number;
  let link: BrokerLink;
  beforeEach(() => {
    broker = new HalfConnected();
    troubles = 0;
    const makeBroker = (): KafkaJsBroker => broker as unknown as KafkaJsBroker;
    link = new BrokerLink({ address: ADDRESS, makeBroker, onTrouble: () => (troubles += 1) });
  });
  const ask = () => link.ask("Question", 1_000, async () => broker.isReady);

  it("is made once, and who comes in between waits until it is ready", async () => {
    const first = ask();
    await Promise.resolve();
    const second = ask();
    broker.finishConnecting();
    expect(await Promise.all([first, second, ask()])).toEqual([true, true, true]);
    expect(broker.connects).toBe(1);
  });
  it("is dropped with everything on it when an answer does not come", async () => {
    const asking = link.ask("Question", 20, () => new Promise(() => undefined));
    broker.finishConnecting();
    await expect(asking).rejects.toThrow(UnansweredError);
    await expect(asking).rejects.toThrow("Question was not answered by b:1 within 20 ms");
    expect(broker.dropped).toHaveLength(1);
    expect([broker.isConnected(), troubles]).toEqual([false, 1]);
  });
  it("is dropped as well when it cannot be made in time", async () => {
    await expect(link.ask("Question", 20, async () => "never asked")).rejects.toThrow(UnansweredError);
    expect(troubles).toBe(1);
  });
  it.each([
    ["lacks", undefined],
    ["no longer has", { minVersion: 14, maxVersion: 17 }],
    ["does not yet have", { minVersion: 0, maxVersion: 12 }],
  ])("to a broker that %s a version we need is refused", async (_, range) => {
    if (range === undefined) delete broker.versions[1];
    else broker.versions[1] = range;
    const asking = ask();
    broker.finishConnecting();
    await expect(asking).rejects.toThrow(ConfigError);
    await expect(asking).rejects.toThrow(/Fetch version 13: use Apache Kafka 3\.1/);
  });
});

/** What other software writes into an inbox stops nothing: it is told in the dead letter topic, with its place (G8). */
import { CompressionTypes, Kafka, logLevel } from "kafkajs";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { decodeDeadLetter, LIMITS, offset, type DeadLetter } from "@eddy/schemas";
import { KafkaLog } from "../../../clients/src/kafka/kafka-log.js";
import { SystemClock } from "../../../clients/src/system-clock.js";
import { topicsOf } from "../../../clients/src/topics.js";
import { eventually } from "../e2e/fixtures.js";
import { LinesLogger } from "../gateway/fixtures.js";
import { advance, Engines } from "./engines.js";

const DLQ_PARTITIONS = 4;

describe("an inbox that others write into", () => {
  let engines: Engines;
  let log: KafkaLog;
  let kafka: Kafka;
  beforeEach(async () => {
    const brokers = inject("kafkaBrokers");
    engines = new Engines(brokers);
    log = await KafkaLog.open({
      brokers,
      clientId: "dead-letters",
      dev: true,
      clock: new SystemClock(),
      logger: new LinesLogger(),
    });
    kafka = new Kafka({ brokers: [...brokers], clientId: "stranger", logLevel: logLevel.NOTHING });
  });
  afterEach(async () => {
    await log.close();
    await engines.close();
  });

  async function letters(topic: string, count: number): Promise<readonly DeadLetter[]> {
    const read = async (): Promise<readonly DeadLetter[]> => {
      const all: DeadLetter[] = [];
      for (let partition = 0; partition < DLQ_PARTITIONS; partition += 1) {
        const { start, end } = await log.offsets(topic, partition);
        const reader = log.reader(topic, partition, offset(start));
        while (reader.position < end) {
          const records = await reader.read({ recordsMax: 100, waitMs: 1_000 });
          for (const { value } of records) all.push(decodeDeadLetter(value ?? new Uint8Array(0)));
        }
        await reader.close();
      }
      return all;
    };
    return eventually(`${count} letters`, async () => {
      const found = await read();
      return found.length >= count ? found : undefined;
    });
  }

  it("G8: garbage, tombstones, packed and transactional records, and the largest that Kafka takes", async () => {
    const { engine } = await engines.start();
    const { inbox, dlq } = topicsOf(engines.namespace);
    const { end } = await log.offsets(inbox, 1);
    const plain = kafka.producer({ allowAutoTopicCreation: false });
    const transactional = kafka.producer({ transactionalId: engines.namespace, maxInFlightRequests: 1 });
    await Promise.all([plain.connect(), transactional.connect()]);
    const to = (value: Buffer | null) => ({ topic: inbox, messages: [{ partition: 1, key: "k", value }] });
    await plain.send(to(Buffer.from('{"name":"not how it is done"}')));
    await plain.send(to(null));
    await plain.send({ ...to(Buffer.from("packed")), compression: CompressionTypes.GZIP });
    for (const ending of ["commit", "abort"] as const) {
      const transaction = await transactional.transaction();
      await transaction.send(to(Buffer.from(`to ${ending}`)));
      await transaction[ending]();
    }
    await plain.send(to(Buffer.alloc(LIMITS.recordBytesMax + 200_000, 7)));
    await Promise.all([plain.disconnect(), transactional.disconnect()]);

    // Every partition has applied it: none stands still.
    expect(await advance(engine, "1h")).toBe(3_600_000);
    const found = await letters(dlq, 6);
    expect(found).toHaveLength(6);
    expect(found.every(({ topic, partition }) => topic === inbox && partition === 1)).toBe(true);
    // A transaction ends with a record of Kafka's own, which has an offset and is nobody's to read.
    expect(found.map((letter) => letter.offset - end)).toEqual([0, 1, 2, 3, 5, 7]);
    expect(new TextDecoder().decode(found[2]?.value)).toBe("packed");
    expect(found.at(-1)?.reason).toContain(`of ${LIMITS.recordBytesMax + 200_000} bytes`);
    expect(engine.readiness().reasons).toEqual([]);
  });
});

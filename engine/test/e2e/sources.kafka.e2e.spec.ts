import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, inject } from "vitest";
import { SystemClock } from "@eddy/clients";
import { KafkaLog } from "@eddy/clients/kafka";
import { LinesLogger } from "../gateway/fixtures.js";
import { sourceFlows } from "./sources.js";

describe("sources on Kafka", () => {
  let kafka: Kafka;
  let log: KafkaLog;
  beforeAll(async () => {
    const brokers = [...inject("kafkaBrokers")];
    kafka = new Kafka({ brokers, clientId: "orders", logLevel: logLevel.NOTHING });
    log = await KafkaLog.open({
      brokers,
      clientId: "sources",
      dev: true,
      clock: new SystemClock(),
      logger: new LinesLogger(),
    });
  });
  afterAll(() => log.close());

  sourceFlows(() => {
    return Promise.resolve({
      log,
      groups: log,
      userTopics: log,
      make: async (topic, numPartitions) => {
        const admin = kafka.admin();
        await admin.connect();
        await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }], waitForLeaders: false });
        await admin.disconnect();
      },
      produce: async (topic, partition, values) => {
        const producer = kafka.producer({ allowAutoTopicCreation: false, retry: { retries: 20 } });
        await producer.connect();
        await producer.send({ topic, messages: values.map((value) => ({ partition, value })) });
        await producer.disconnect();
      },
    });
  });
});

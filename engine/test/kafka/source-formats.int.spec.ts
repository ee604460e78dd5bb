/** Records as other software writes them, with schemas of a real registry: what they become, and what becomes of others. */
import { createRequire } from "node:module";
import { Kafka, logLevel, type Message } from "kafkajs";
import { SchemaRegistry } from "@kafkajs/confluent-schema-registry";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { DLQ_PARTITIONS, SystemClock, topicsOf } from "@eddy/clients";
import { KafkaLog } from "@eddy/clients/kafka";
import { decodeDeadLetter, decodeInbox, offset, type DeadLetter } from "@eddy/schemas";
import { registryReady } from "../../../scripts/kafka/registry.js";
import { eventually } from "../e2e/fixtures.js";
import { LinesLogger } from "../gateway/fixtures.js";
import { Engines, PARTITIONS } from "./engines.js";

const AVRO = {
  type: "record",
  name: "Order",
  namespace: "shop",
  fields: [
    { name: "order", type: "string" },
    { name: "at", type: { type: "long", logicalType: "timestamp-millis" } },
    { name: "raw", type: "bytes" },
    { name: "note", type: ["null", "string"], default: null },
  ],
};
const JSON_SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "https://shop.example/paid",
  type: "object",
  properties: { order: { type: "string" }, total: { type: "number" } },
  required: ["order"],
};
const PROTO = `syntax = "proto3";
package shop;
message Placed { string order = 1; }
message Shipped { string order = 1; int64 parcel = 2; }
`;

describe("sources with schemas", () => {
  let engines: Engines;
  let log: KafkaLog;
  let kafka: Kafka;
  let registry: SchemaRegistry;
  let url: string;
  beforeAll(async () => {
    const brokers = [...inject("kafkaBrokers")];
    url = await registryReady(inject("schemaRegistry"));
    engines = new Engines(brokers);
    registry = new SchemaRegistry({ host: url });
    kafka = new Kafka({ brokers, clientId: "shop", logLevel: logLevel.NOTHING });
    const logger = new LinesLogger();
    log = await KafkaLog.open({ brokers, clientId: "formats", dev: true, clock: new SystemClock(), logger });
  });
  afterAll(async () => {
    await log.close();
    await engines.close();
  });

  const topicOf = (name: string): string => `${name}-${engines.namespace}`;
  async function make(...names: readonly string[]): Promise<void> {
    const admin = kafka.admin();
    await admin.connect();
    const topics = names.map((name) => ({ topic: topicOf(name), numPartitions: 1, replicationFactor: 1 }));
    await admin.createTopics({ topics, waitForLeaders: false });
    await admin.disconnect();
  }
  async function produce(name: string, ...messages: readonly Message[]): Promise<void> {
    const producer = kafka.producer({ allowAutoTopicCreation: false, retry: { retries: 20 } });
    await producer.connect();
    await producer.send({ topic: topicOf(name), messages: [...messages] });
    await producer.disconnect();
  }
  async function read<T>(topic: string, partitions: number, decode: (value: Uint8Array) => T): Promise<readonly T[]> {
    const found: T[] = [];
    for (let partition = 0; partition < partitions; partition += 1) {
      const { start, end } = await log.offsets(topic, partition);
      const reader = log.reader(topic, partition, offset(start));
      while (reader.position < end) {
        for (const { value } of await reader.read({ recordsMax: 500, waitMs: 1_000 })) {
          if (value !== null) found.push(decode(value));
        }
      }
      await reader.close();
    }
    return found;
  }
  /** The events in the inbox by name, as handlers would get them. */
  async function events(): Promise<ReadonlyMap<string, Record<string, unknown>>> {
    const records = await read(topicsOf(engines.namespace).inbox, PARTITIONS, decodeInbox);
    const all = records.flatMap((record) => (record.kind === "event" ? [record.payload] : []));
    const parsed = all.map((payload) => JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>);
    return new Map(parsed.map((event) => [event["name"] as string, event]));
  }
  const letters = (): Promise<readonly DeadLetter[]> =>
    read(topicsOf(engines.namespace).dlq, DLQ_PARTITIONS, decodeDeadLetter);

  it("Avro, JSON Schema, Protobuf and CloudEvents become events; the rest is told with its schema's id", async () => {
    await make("avro", "json", "proto", "cloud");
    const ns = engines.namespace;
    const avro = await registerAs(url, `avro-${ns}-value`, "AVRO", JSON.stringify(AVRO));
    const json = await registerAs(url, `json-${ns}-value`, "JSON", JSON.stringify(JSON_SCHEMA));
    const proto = await registerAs(url, `proto-${ns}-value`, "PROTOBUF", PROTO);

    const at = Date.UTC(2026, 0, 1);
    const order = { order: "o1", at, raw: Buffer.from("hi"), note: null };
    await produce("avro", { key: "k", value: await registry.encode(avro.id, order) });
    await produce("avro", { value: framed(999_999, Buffer.from("?")) }, { value: '{"order":"o2"}' }, { value: null });
    await produce("json", { value: framed(json.id, Buffer.from('{"order":"o1","total":7.5}')) });
    await produce("json", { value: framed(json.id, Buffer.from('{"total":7.5}')) });
    await produce("json", { value: framed(avro.id, Buffer.from("{}")) });
    await produce("proto", { value: framed(proto.id, Buffer.concat([Buffer.from([2, 2]), shipped("o1", 77)])) });
    const ce = { ce_specversion: "1.0", ce_id: "7", ce_source: "/shop", ce_type: "order/returned" };
    await produce("cloud", { value: '{"order":"o1"}', headers: { ...ce, "content-type": "application/json" } });

    const source = (name: string, format: string, more: object = {}) => ({ topic: topicOf(name), format, ...more });
    const { engine } = await engines.start({
      schemaRegistry: { url },
      sources: [
        source("avro", "avro", { event: "order/placed", id: "value.order", ts: "value.at" }),
        source("json", "json-schema", { event: "order/paid" }),
        source("proto", "protobuf", { event: "order/shipped", id: "value.parcel" }),
        source("cloud", "cloudevents"),
      ],
    });

    const found = await eventually("four events", async () => {
      const all = await events();
      return all.size === 4 ? all : undefined;
    });
    const raw = Buffer.from("hi").toString("base64");
    expect(found.get("order/placed")).toMatchObject({ id: "o1", ts: at, data: { order: "o1", at, raw, note: null } });
    expect(found.get("order/paid")).toMatchObject({ data: { order: "o1", total: 7.5 } });
    expect(found.get("order/shipped")).toMatchObject({ id: "77", data: { order: "o1", parcel: "77" } });
    expect(found.get("order/returned")).toMatchObject({ id: "/shop/7", data: { order: "o1" } });

    const told = await eventually("four letters", async () => {
      const all = await letters();
      return all.length >= 4 ? all : undefined;
    });
    const said = told.map(({ topic, offset: place, schemaId, reason }) => {
      return [topic.replace(`-${ns}`, ""), place, schemaId, reason.replace(url, "")] as const;
    });
    expect(said.sort(([a, m], [b, n]) => a.localeCompare(b) || m - n)).toEqual([
      ["avro", 1, 999_999, "the registry at  has no schema 999999"],
      ["avro", 2, undefined, "the value names no schema: expected a zero byte and a schema id of 4 bytes"],
      ["json", 1, json.id, `the value does not fit schema ${json.id}: must have required property 'order' at /`],
      ["json", 2, avro.id, `schema ${avro.id} is one of Avro, the source is for json-schema`],
    ]);

    const metrics = await eventually("nothing is left to take", async () => {
      const text = await (await fetch(`${engine.url}/metrics`)).text();
      return text.includes(`eddy_source_lag_records{source="${topicOf("avro")}"} 0`) && text;
    });
    const taken = (name: string, outcome: string) =>
      new RegExp(`eddy_source_records_total\\{source="${topicOf(name)}",outcome="${outcome}"\\} (\\d+)`).exec(
        metrics,
      )?.[1];
    expect([taken("avro", "event"), taken("avro", "dead_letter"), taken("avro", "tombstone")]).toEqual(["1", "2", "1"]);
    expect(metrics).toContain(`eddy_source_up{source="${topicOf("proto")}"} 1`);
  });
});

/** As Confluent's serializers write it. */
function framed(id: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.writeInt32BE(id, 1);
  return Buffer.concat([header, payload]);
}

/** The library writes the first message of a file alone. */
function shipped(order: string, parcel: number): Uint8Array {
  const load = createRequire(createRequire(import.meta.url).resolve("@kafkajs/confluent-schema-registry"));
  const protobuf = load("protobufjs") as {
    parse(text: string): { root: { lookupType(name: string): { encode(value: object): { finish(): Uint8Array } } } };
  };
  return protobuf.parse(PROTO).root.lookupType("shop.Shipped").encode({ order, parcel }).finish();
}

/** The library does so only where a subject's compatibility is BACKWARD, and would set it. */
async function registerAs(url: string, subject: string, schemaType: string, schema: string): Promise<{ id: number }> {
  const reply = await fetch(`${url}/subjects/${subject}/versions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ schemaType, schema }),
  });
  if (!reply.ok) throw new Error(`register: ${reply.status} ${await reply.text()}`);
  return (await reply.json()) as { id: number };
}

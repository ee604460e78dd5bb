import { describe, expect, it } from "vitest";
import { readKafkaConfig } from "../../src/config/kafka-config.js";

const read = (options: Record<string, unknown>, environment: Record<string, string> = {}) =>
  readKafkaConfig({ options: { brokers: "kafka:9092", host: "127.0.0.1", ...options }, environment });

describe("sources in the configuration", () => {
  it("are a list, in the environment as JSON", () => {
    const given = { topic: "orders", format: "json", event: "order/placed", id: "value.id" };
    const sources = [{ ...given, from: "earliest" }];
    expect(read({ sources: [given] }).sources).toEqual(sources);
    expect(read({}, { EDDY_SOURCES: JSON.stringify([given]) }).sources).toEqual(sources);
  });

  it("need a registry for formats whose schemas are there", () => {
    const sources = [{ topic: "orders", format: "avro", event: "order/placed" }];
    expect(() => read({ sources })).toThrow("sources.0.format: needs schemaRegistry.url");
    const environment = {
      EDDY_SCHEMA_REGISTRY_URL: "http://registry:8081/",
      EDDY_SCHEMA_REGISTRY_USERNAME: "eddy",
      EDDY_SCHEMA_REGISTRY_PASSWORD: "secret",
    };
    expect(read({ sources }, environment).schemaRegistry).toEqual({
      url: "http://registry:8081",
      username: "eddy",
      password: "secret",
    });
  });

  it.each([
    [{ topic: "eddy.prod.inbox" }, "sources.0.topic: topics that begin with eddy. are Eddy's own"],
    [{ format: "xml" }, "sources.0.format: Invalid option"],
    [{ event: undefined }, "sources.0.event: is missing: a name, or the path where a record tells it"],
    [{ event: "inngest/x" }, "sources.0.event: names that start with eddy/ or inngest/ are reserved"],
    [{ event: "value." }, "sources.0.event: expected value.<field> or headers.<name>"],
    [{ id: "data.id" }, "sources.0.id: expected key, value, value.<field> or headers.<name>"],
    [{ from: "now" }, "sources.0.from: Invalid option"],
    [{ tpoic: "orders" }, "sources.0.tpoic: is not a key of the configuration"],
  ])("%j is refused: %s", (wrong, problem) => {
    const source = { topic: "orders", format: "json", event: "order/placed", ...wrong };
    expect(() => read({ sources: [source] })).toThrow(problem);
  });

  it("are one for each topic, and a login is whole", () => {
    const source = { topic: "orders", format: "json", event: "a" };
    expect(() => read({ sources: [source, source] })).toThrow("sources.1.topic: the topic has a source already");
    expect(() => read({}, { EDDY_SOURCES: "orders" })).toThrow("EDDY_SOURCES: Invalid input: expected array");
    expect(() => read({ schemaRegistry: { url: "http://r", username: "eddy" } })).toThrow("username and password");
  });
});

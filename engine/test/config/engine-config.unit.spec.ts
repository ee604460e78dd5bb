import { describe, expect, it } from "vitest";
import { CONFIG_DEFAULTS, readEngineConfig } from "../../src/config/engine-config.js";
import { readKafkaConfig } from "../../src/config/kafka-config.js";
import { ConfigError } from "../../../clients/src/errors/codes.js";

describe("engine configuration", () => {
  it("pins its defaults", () => {
    expect(readEngineConfig({}, {})).toEqual({
      host: "127.0.0.1",
      port: 8288,
      dataDir: ".eddy",
      inMemory: false,
      fsync: false,
      partitions: 4,
      senderSettle: 1_000,
      cacheMib: 128,
      logLevel: "info",
      metricsAccess: "open",
      connectionsMax: 10_000,
      connectionsPerAddressMax: 2_000,
      requestsPerSecondMax: 0,
    });
    expect(CONFIG_DEFAULTS).toEqual(readEngineConfig({}, {}));
  });

  it("reads the environment, and lets options win", () => {
    const environment = {
      EDDY_PORT: "9000",
      EDDY_DATA_DIR: "/var/eddy",
      EDDY_IN_MEMORY: "false",
      EDDY_FSYNC: "true",
      EDDY_SENDER_SETTLE: "2s",
      OTHER: "x",
    };
    expect(readEngineConfig({ port: "9001", fsync: undefined }, environment)).toMatchObject({
      port: 9001,
      dataDir: "/var/eddy",
      inMemory: false,
      fsync: true,
      senderSettle: 2_000,
    });
  });

  it("cannot be changed afterwards", () => {
    expect(Object.isFrozen(readEngineConfig({}, {}))).toBe(true);
  });

  it.each<[string, Record<string, unknown>, boolean]>([
    ["port 0", { port: 0 }, true],
    ["port 65535", { port: 65_535 }, true],
    ["port 65536", { port: 65_536 }, false],
    ["a port with a sign", { port: "-1" }, false],
    ["a port with a fraction", { port: 80.5 }, false],
    ["an empty port", { port: "" }, false],
    ["1 partition", { partitions: 1 }, true],
    ["0 partitions", { partitions: 0 }, false],
    ["4096 partitions", { partitions: "4096" }, true],
    ["4097 partitions", { partitions: "4097" }, false],
    ["a settle time of 100 ms", { senderSettle: "100ms" }, true],
    ["a settle time of 99 ms", { senderSettle: 99 }, false],
    ["a settle time of five minutes", { senderSettle: "5m" }, true],
    ["a settle time of more", { senderSettle: "300001" }, false],
    ["a settle time that is none", { senderSettle: "soon" }, false],
    ["fsync alone", { fsync: true }, true],
    ["fsync in memory", { fsync: true, inMemory: true }, false],
    ["an empty folder", { dataDir: "" }, false],
    ["an unknown key", { prot: 1 }, false],
  ])("%s", (_, options, isFine) => {
    if (isFine) expect(readEngineConfig(options, {})).toMatchObject({});
    else expect(() => readEngineConfig(options, {})).toThrow(ConfigError);
  });

  it("names every problem, where it comes from and what was given", () => {
    const read = (): unknown => readEngineConfig({ port: "x", partitions: 0 }, { EDDY_FSYNC: "yes" });
    expect(read).toThrow(/port: .*"x"[\s\S]*/);
    expect(read).toThrow(/partitions: .*0/);
    expect(read).toThrow(/EDDY_FSYNC: .*"yes"/);
    const crossed = (): unknown => readEngineConfig({ port: "x", fsync: true, inMemory: true }, {});
    expect(crossed).toThrow(/fsync: has no meaning/);
    expect(crossed).toThrow(/port: /);
  });

  it.each<[string, string | undefined, boolean]>([
    ["127.0.0.1", undefined, true],
    ["127.8.9.1", undefined, true],
    ["::1", undefined, true],
    ["localhost", undefined, true],
    ["0.0.0.0", undefined, false],
    ["::", undefined, false],
    ["10.0.0.7", undefined, false],
    ["127.0.0.1.example.org", undefined, false],
    ["0.0.0.0", "tokens.yaml", true],
  ])("listens on %s with the tokens file %s: %s", (host, tokensFile, isFine) => {
    for (const read of [
      () => readEngineConfig({ host, tokensFile }, {}),
      () =>
        readKafkaConfig({
          options: { brokers: ["k:1"], host, tokensFile, peerTokenFile: tokensFile },
          environment: {},
        }),
    ]) {
      if (isFine) expect(read().host).toBe(host);
      else expect(read).toThrow(/can be reached from elsewhere, and there is no tokensFile.*--host 127\.0\.0\.1/);
    }
  });

  it("takes a certificate and its key by their files, together", () => {
    const environment = { EDDY_TLS_CERT: "/tls.crt", EDDY_TLS_KEY: "/tls.key" };
    const tls = { cert: "/tls.crt", key: "/tls.key" };
    expect(readEngineConfig({}, environment)).toMatchObject({ tls });
    const options = { brokers: ["k:1"], host: "127.0.0.1" };
    expect(readKafkaConfig({ options, environment })).toMatchObject({ tls });
    expect(() => readEngineConfig({}, { EDDY_TLS_CERT: "/tls.crt" })).toThrow(/tls\.key|EDDY_TLS_KEY/);
  });

  it("wants the engines' own token where it wants tokens", () => {
    const options = { brokers: ["k:1"], tokensFile: "tokens.yaml" };
    expect(() => readKafkaConfig({ options, environment: {} })).toThrow(/peerTokenFile: belongs to tokensFile/);
  });
});

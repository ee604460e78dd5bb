import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readKafkaConfig, type KafkaConfigSources } from "../../src/config/kafka-config.js";
import { ConfigError } from "../../../clients/src/errors/codes.js";
import { advertisedUrlOf } from "../../src/world/advertised-url.js";

const OAUTH = { mechanism: "oauthbearer", tokenEndpoint: "https://idp/token", clientId: "a", clientSecret: "b" };
const BROKERS = { brokers: ["kafka:9092"] };

describe("configuration of an engine on Kafka", () => {
  let folder: string;
  beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "eddy-config-"))));
  afterAll(() => rmSync(folder, { recursive: true }));

  const read = (sources: KafkaConfigSources) => readKafkaConfig({ environment: {}, listens: false, ...sources });
  function file(content: string, name = "eddy.yaml"): string {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  }
  /** What is said of a configuration that is refused. */
  function problemsOf(sources: KafkaConfigSources): string {
    try {
      read(sources);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as Error).message;
    }
    throw new Error("it was taken");
  }

  it("pins its defaults", () => {
    expect(read({ options: BROKERS })).toEqual({
      brokers: ["kafka:9092"],
      namespace: "default",
      dev: false,
      partitions: 64,
      senderSettle: 20_000,
      host: "0.0.0.0",
      port: 8288,
      dataDir: ".eddy",
      cacheMib: 128,
      logLevel: "info",
      clientId: "eddy-engine",
      replicationFactor: 3,
      minInsyncReplicas: 2,
      sources: [],
      metricsAccess: "open",
      connectionsMax: 10_000,
      connectionsPerAddressMax: 2_000,
      requestsPerSecondMax: 5_000,
    });
    expect(read({ options: { ...BROKERS, dev: true } }).partitions).toBe(4);
    expect(Object.isFrozen(read({ options: BROKERS }))).toBe(true);
  });

  it("takes a file, the environment and options; later ones win, key by key", () => {
    const path = file(`
brokers: [a:1, b:2]
namespace: from-file
port: 1000
sasl: { mechanism: SCRAM-SHA-512, username: eddy, password: from-file }
`);
    const environment = {
      EDDY_PORT: "2000",
      EDDY_NAMESPACE: "from-environment",
      EDDY_SASL_PASSWORD: "from-environment",
      OTHER: "x",
    };
    expect(read({ file: path, environment, options: { namespace: "from-options", host: undefined } })).toMatchObject({
      brokers: ["a:1", "b:2"],
      namespace: "from-options",
      port: 2000,
      sasl: { mechanism: "scram-sha-512", username: "eddy", password: "from-environment" },
    });
  });

  it("takes everything from the environment", () => {
    const environment = {
      EDDY_BROKERS: "a:1, b:2",
      EDDY_DEV: "true",
      EDDY_PARTITIONS: "8",
      EDDY_ADVERTISED_URL: "http://10.0.0.7:8288/",
      EDDY_SSL: "true",
      EDDY_SASL_MECHANISM: "plain",
      EDDY_SASL_USERNAME: "eddy",
      EDDY_SASL_PASSWORD: "secret",
    };
    expect(read({ environment })).toMatchObject({
      brokers: ["a:1", "b:2"],
      dev: true,
      partitions: 8,
      advertisedUrl: "http://10.0.0.7:8288",
      ssl: {},
      sasl: { mechanism: "plain", username: "eddy", password: "secret" },
    });
  });

  it("reads the certificates that it names", () => {
    const [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map((name) => file(`content of ${name}`, name));
    expect(read({ options: { ...BROKERS, ssl: { ca, cert, key } } }).ssl).toEqual({
      ca: "content of ca.pem",
      cert: "content of cert.pem",
      key: "content of key.pem",
    });
    expect(read({ options: BROKERS, environment: { EDDY_SSL: "true", EDDY_SSL_CA: ca } }).ssl).toEqual({
      ca: "content of ca.pem",
    });
    const missing = problemsOf({ options: { ...BROKERS, port: -1, ssl: { ca: join(folder, "nope.pem") } } });
    expect(missing).toMatch(/ssl.*ENOENT/);
    expect(missing).toContain("port");
    expect(problemsOf({ options: { ...BROKERS, ssl: { cert } } })).toMatch(/cert and key belong together/);
  });

  it.each<[string, Record<string, unknown>, boolean]>([
    ["no broker", { brokers: [] }, false],
    ["an empty text of brokers", { brokers: "" }, false],
    ["a broker without port", { brokers: "kafka" }, false],
    ["a namespace with a dot", { namespace: "a.b" }, false],
    ["a namespace of 100 characters", { namespace: "x".repeat(100) }, true],
    ["a namespace of 101 characters", { namespace: "x".repeat(101) }, false],
    ["an empty namespace", { namespace: "" }, false],
    ["4096 partitions", { partitions: 4_096 }, true],
    ["4097 partitions", { partitions: 4_097 }, false],
    ["0 partitions", { partitions: 0 }, false],
    ["an advertised URL that is none", { advertisedUrl: "10.0.0.7:8288" }, false],
    ["an advertised URL with TLS", { advertisedUrl: "https://eddy.example" }, true],
    ["more copies in sync than copies", { replicationFactor: 2, minInsyncReplicas: 3 }, false],
    ["as many copies in sync as copies", { replicationFactor: 2, minInsyncReplicas: 2 }, true],
    ["a key of eddy dev", { inMemory: true }, false],
    ["an unknown key", { broker: "kafka:9092" }, false],
    ["an unknown key in sasl", { sasl: { mechanism: "plain", username: "a", password: "b", pass: "c" } }, false],
    ["an unknown mechanism", { sasl: { mechanism: "gssapi", username: "a", password: "b" } }, false],
    ["a login without a password", { sasl: { mechanism: "plain", username: "a" } }, false],
    ["a login with a token's key", { sasl: { mechanism: "plain", username: "a", password: "b", scope: "c" } }, false],
    ["tokens", { sasl: { ...OAUTH, scope: "kafka" } }, true],
    ["tokens without a scope", { sasl: OAUTH }, true],
    ["tokens without a client", { sasl: { ...OAUTH, clientId: undefined } }, false],
    ["tokens with a password", { sasl: { ...OAUTH, password: "b" } }, false],
    ["tokens from nowhere", { sasl: { ...OAUTH, tokenEndpoint: "idp" } }, false],
    ["ssl that is no flag", { ssl: "yes" }, false],
  ])("%s", (_, options, isFine) => {
    if (isFine) expect(read({ options: { ...BROKERS, ...options } })).toMatchObject({});
    else expect(problemsOf({ options: { ...BROKERS, ...options } })).toContain("problems");
  });

  it("names every problem at once, where it comes from and what was given", () => {
    const path = file("port: 70000\nunheard: of\nsasl: { mechanism: plain, username: eddy }\n");
    const text = problemsOf({
      file: path,
      environment: { EDDY_PARTITIONS: "many" },
      options: { minInsyncReplicas: 9 },
    });
    expect(text).toMatch(/eddy\.yaml: port: .*\(got 70000\)/);
    expect(text).toContain("eddy.yaml: unheard: is not a key of the configuration");
    expect(text).toMatch(/EDDY_PARTITIONS: .*\(got "many"\)/);
    expect(text).toMatch(/minInsyncReplicas: .*above/);
    expect(text).toMatch(/brokers: /);
    expect(text).toMatch(/eddy\.yaml: sasl\.password: /);
  });

  it("never repeats a secret", () => {
    const sasl = { mechanism: "hunter2", username: 5, password: ["hunter2"], more: "hunter2" };
    expect(problemsOf({ options: { ...BROKERS, sasl } })).not.toContain("hunter2");
    expect(problemsOf({ options: { ...BROKERS, saslPassword: "hunter2", port: -1 } })).not.toContain("hunter2");
    const path = file('sasl: { password: "hunter2 \n  broken: [');
    expect(problemsOf({ file: path })).not.toContain("hunter2");
  });

  it.each([
    ["is not there", null, /cannot be read \(ENOENT\)/],
    ["is not YAML", "brokers: [a:1\nport: 3", /is not YAML: line \d+, column \d+/],
    ["holds a list", "- a\n- b\n", /holds no keys/],
    ["holds a key twice", "port: 1\nport: 2\n", /is not YAML: line 2/],
  ])("says of a file that it %s", (_, content, said) => {
    const path = content === null ? join(folder, "nope.yaml") : file(content);
    expect(problemsOf({ file: path })).toMatch(said);
  });

  it("takes an empty file", () => {
    expect(read({ file: file("# nothing yet\n"), options: BROKERS }).port).toBe(8288);
  });
});

describe("the advertised URL", () => {
  it("is what the operator says, else the host and the port that is bound", () => {
    expect(advertisedUrlOf({ host: "10.0.0.7", port: 1, advertisedUrl: "https://eddy" })).toBe("https://eddy");
    expect(advertisedUrlOf({ host: "10.0.0.7", port: 1 })).toBe("http://10.0.0.7:1");
    expect(advertisedUrlOf({ host: "::1", port: 1 })).toBe("http://[::1]:1");
  });

  it("is an address of this machine where all of them are listened to", () => {
    for (const host of ["0.0.0.0", "::"]) {
      expect(advertisedUrlOf({ host, port: 1 })).toMatch(/^http:\/\/\d+\.\d+\.\d+\.\d+:1$/);
      expect(advertisedUrlOf({ host, port: 1 })).not.toContain("0.0.0.0");
    }
  });
});

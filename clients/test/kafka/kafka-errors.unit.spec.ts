/** The table of what errors mean, through to the classes that the port promises. */
import { createRequire } from "node:module";
import { describe, expect, it } from "vitest";
import {
  BROKER_ERRORS,
  BrokerError,
  KAFKAJS_ERRORS,
  UnansweredError,
  portError,
  verdictOf,
} from "../../src/kafka/kafka-errors.js";
import type { Verdict } from "../../src/kafka/kafka-errors.js";
import { WireError } from "../../src/kafka/wire.js";
import {
  BadRecordError,
  ClosedError,
  ConfigError,
  FencedError,
  InvariantViolation,
  OffsetOutOfRangeError,
  TransientError,
} from "../../src/errors/codes.js";

const load = createRequire(import.meta.url);
const errors = load("kafkajs/src/errors");
const { createErrorFromCode } = load("kafkajs/src/protocol/error");

const CLASSES: Readonly<Record<Verdict, new (message: string) => Error>> = {
  retry: TransientError,
  leader: TransientError,
  coordinator: TransientError,
  lost: TransientError,
  fenced: FencedError,
  range: OffsetOutOfRangeError,
  record: BadRecordError,
  config: ConfigError,
  bug: InvariantViolation,
};

const failing = { doing: "append to t/0", fields: { topic: "t" } };

describe("an error of a broker", () => {
  it.each(Object.entries(BROKER_ERRORS))(
    "%s means what the table says, told by us or by kafkajs",
    (code, [name, verdict]) => {
      for (const error of [new BrokerError(Number(code)), createErrorFromCode(Number(code)) as Error]) {
        expect(verdictOf(error)).toBe(verdict);
        const thrown = portError(error, failing);
        expect(thrown).toBeInstanceOf(CLASSES[verdict]);
        expect(thrown.message).toContain("append to t/0");
        expect(thrown.cause).toBe(error);
        expect(thrown).toMatchObject({ fields: { topic: "t" } });
      }
      expect(new BrokerError(Number(code), "why").message).toBe(`${name}: why`);
    },
  );
  it.each([
    ["a leader that moved", 6, TransientError],
    ["too few replicas", 19, TransientError],
    ["another producer with our transactional id", 47, FencedError],
    ["an offset that is gone", 1, OffsetOutOfRangeError],
    ["a batch that is too large", 10, BadRecordError],
    ["no permission", 29, ConfigError],
  ])("for %s is %i", (_, code, expected) => {
    expect(portError(new BrokerError(code), failing)).toBeInstanceOf(expected);
  });
  it("that is not in the table is not retriable", () => {
    for (const error of [new BrokerError(9_999), createErrorFromCode(9_999) as Error]) {
      expect(portError(error, failing)).toBeInstanceOf(InvariantViolation);
      expect(error.message).toContain("9999");
    }
  });
  it("keeps its number when kafkajs does not know it", () => {
    expect(verdictOf(createErrorFromCode(90))).toBe("fenced");
  });
});

describe("an error of kafkajs", () => {
  it.each(Object.entries(KAFKAJS_ERRORS))("%s means what the table says", (name, verdict) => {
    expect(errors).toHaveProperty(name);
    expect(verdictOf(new errors[name]("x", {}))).toBe(verdict);
  });
  it("is looked into when it wraps another", () => {
    const cause = createErrorFromCode(47) as Error;
    expect(verdictOf(new errors.KafkaJSNonRetriableError(cause, { cause }))).toBe("fenced");
    expect(verdictOf(new errors.KafkaJSNumberOfRetriesExceeded(cause, { retryCount: 1, retryTime: 1 }))).toBe("fenced");
  });
  it.each([
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "CERT_HAS_EXPIRED",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  ])("of a certificate (%s) does not pass by itself", (code) => {
    const error = new errors.KafkaJSConnectionError("Connection error", { broker: "b:1", code }) as Error;
    expect(portError(error, failing)).toBeInstanceOf(ConfigError);
  });
  it.each(["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT"])("of the network (%s) may pass", (code) => {
    const error = new errors.KafkaJSConnectionError("Connection error", { broker: "b:1", code }) as Error;
    expect(portError(error, failing)).toBeInstanceOf(TransientError);
  });
});

describe("other errors", () => {
  it("of ours pass through", () => {
    const closed = new ClosedError("closed");
    expect(portError(closed, failing)).toBe(closed);
  });
  it("a lost answer may pass; bytes that make no sense, and what nobody threw on purpose, do not", () => {
    expect(portError(new UnansweredError("late"), failing)).toBeInstanceOf(TransientError);
    for (const error of [new WireError("x"), new TypeError("x"), "text", undefined]) {
      expect(portError(error, failing)).toBeInstanceOf(InvariantViolation);
    }
  });
});
